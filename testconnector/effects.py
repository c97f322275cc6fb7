"""What a fault does to a request, as its script says it."""

import time
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal, cast

from testconnector.answers import ERRORS, Answer, error_of_status, json_answer, named_error

_KEYS = frozenset(
    [
        "error",
        "message",
        "status",
        "body",
        "headers",
        "location",
        "retry_after",
        "retry_after_date",
        "accepted",
        "delay",
        "delay_after",
        "hold",
        "cut",
    ]
)


class FaultError(Exception):
    """A rule that cannot be understood; the message says what."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What happens to a request. Without an answer of its own, the usual answer is given.

    ``accepted``: an answer of its own is given after the request took effect, and not instead of it.
    """

    answer: Answer | None = None
    accepted: bool = False
    retry_date: float | None = None  # Retry-After as a date, so many seconds from the answer on
    delay: float = 0.0  # before the request takes effect
    delay_after: float = 0.0  # after it took effect
    hold: Literal["", "before", "after"] = ""  # never answered, until the rule is removed
    cut: Literal["", "before", "after", "mid-body"] = ""

    def own_answer(self) -> Answer | None:
        if self.answer is None or self.retry_date is None:
            return self.answer
        when = formatdate(time.time() + self.retry_date, usegmt=True)
        answer = self.answer
        return Answer(
            answer.status, answer.body, {**answer.headers, "Retry-After": when}, answer.content_type
        )


def effect_of(given: Any) -> Effect:
    """The effect that a script describes. Raises FaultError."""
    require_object("effect", given, _KEYS)
    answer = _answer_of(given)
    accepted = given.get("accepted", answer is not None and answer.status < 300)
    if not isinstance(accepted, bool):
        raise FaultError("accepted must be true or false")
    return Effect(
        answer=answer,
        accepted=accepted,
        retry_date=number_of(given, "retry_after_date"),
        delay=number_of(given, "delay") or 0.0,
        delay_after=number_of(given, "delay_after") or 0.0,
        hold=cast("Literal['', 'before', 'after']", _choice(given, "hold", ("before", "after"))),
        cut=cast(
            "Literal['', 'before', 'after', 'mid-body']",
            _choice(given, "cut", ("before", "after", "mid-body")),
        ),
    )


def _answer_of(given: dict[str, Any]) -> Answer | None:
    given_headers = given.get("headers", {})
    if not isinstance(given_headers, dict):
        raise FaultError("headers must be an object")
    headers = {str(name): str(value) for name, value in given_headers.items()}
    if "retry_after" in given:
        headers["Retry-After"] = str(given["retry_after"])
    if "location" in given:
        headers["Location"] = str(given["location"])
    if "error" in given:
        name = given["error"]
        if name not in ERRORS:
            raise FaultError(f"error: {name!r} is none of {', '.join(sorted(ERRORS))}")
        return named_error(name, given.get("message"), headers)
    if "status" not in given:
        return None
    status = given["status"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise FaultError(f"status: {status!r} is no status")
    body = given.get("body")
    if isinstance(body, str):
        return Answer(status, body.encode(), headers, "text/html")
    if body is not None:
        return json_answer(status, body, headers)
    return error_of_status(status, headers)


def require_object(name: str, given: Any, keys: frozenset[str]) -> None:
    if not isinstance(given, dict):
        raise FaultError(f"{name} must be an object")
    unknown = given.keys() - keys
    if unknown:
        raise FaultError(f"{name}: {', '.join(sorted(unknown))} is none of {', '.join(sorted(keys))}")


def number_of(given: dict[str, Any], name: str) -> float | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise FaultError(f"{name} must be a number from 0")
    return float(value)


def _choice(given: dict[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = given.get(name, "")
    if value not in ("", *choices):
        raise FaultError(f"{name}: {value!r} is none of {', '.join(choices)}")
    return str(value)
