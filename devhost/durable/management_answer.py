"""Answers of the management API: JSON, and the bodies of what went wrong."""

import json
from collections.abc import Mapping

from aiohttp import web

_BAD_ARGUMENT = "One or more of the arguments submitted is incorrect"
_ARGUMENT_EXCEPTION = "System.ArgumentException"


class Refused(Exception):
    """The request ends here, with `response`."""

    def __init__(self, response: web.Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_answer(
    value: object, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A value as JSON."""
    return web.Response(
        text=json.dumps(value),
        status=status,
        content_type="application/json",
        headers=headers,
    )


def empty(status: int) -> web.Response:
    """A status alone."""
    return web.Response(status=status)


def message(status: int, text: str) -> web.Response:
    """The body that the real host makes of a sentence."""
    return json_answer({"Message": text}, status=status)


def failure(status: int, text: str, reason: str, kind: str) -> web.Response:
    """The body that the real host makes of an exception; its stack is never told here."""
    body = {"Message": text, "ExceptionMessage": reason, "ExceptionType": kind, "StackTrace": ""}
    return json_answer(body, status=status)


def bad_argument(reason: str, *, text: str = _BAD_ARGUMENT) -> web.Response:
    """400: an ArgumentException; the SDK's client raises its `ExceptionMessage`."""
    return failure(400, text, reason, _ARGUMENT_EXCEPTION)


def invalid_operation(reason: str) -> web.Response:
    """500: the instance is in a state in which this cannot be done."""
    return failure(
        500,
        "Something went wrong while processing your request",
        reason,
        "System.InvalidOperationException",
    )


def invalid_json(reason: str) -> web.Response:
    """400: a body that is no JSON."""
    return failure(400, "Invalid JSON content", reason, "Newtonsoft.Json.JsonReaderException")
