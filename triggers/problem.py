"""Errors told to HTTP callers, as RFC 9457 problem details."""

import json
from http import HTTPStatus

import azure.functions as func

PROBLEM_JSON = "application/problem+json"


def problem(status: HTTPStatus, detail: str, **more: str) -> func.HttpResponse:
    """An error answer with its reason; ``detail`` is shown to the caller, ``more`` is for programs."""
    body = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": detail, **more}
    return func.HttpResponse(json.dumps(body), status_code=int(status), mimetype=PROBLEM_JSON)
