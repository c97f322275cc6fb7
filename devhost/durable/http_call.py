"""A request of call_http: how the SDK writes it, and what the real host refuses about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

HTTP_ACTIVITY = "BuiltIn::HttpActivity"
_FORM = "application/x-www-form-urlencoded"
# Headers of a body; .NET takes them with the body alone, and keeps those of an answer apart from its others.
CONTENT_HEADERS = frozenset(
    (
        "allow",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-length",
        "content-location",
        "content-md5",
        "content-range",
        "content-type",
        "expires",
        "last-modified",
    )
)


class HttpCallFailed(Exception):
    """The request got no answer; the text is the reason that the orchestrator sees. `kind` is a .NET type."""

    def __init__(self, reason: str, kind: str = "System.Net.Http.HttpRequestException") -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class HttpCall:
    """What is sent. `resource` is what a managed identity's token is for, or None."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes | None
    resource: str | None

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> "HttpCall":
        """Read the `httpRequest` of an action. Raises HttpCallFailed for what the real host does not send."""
        url, content = str(request.get("uri") or ""), request.get("content")
        _check_url(url)
        headers, content_type = list[tuple[str, str]](), ""
        for name, value in _pairs(request.get("headers")):
            if name.lower() == "content-type":
                content_type = value
            else:
                _check_header(name)
                headers.append((name, value))
        if "multipart" in content_type:
            raise HttpCallFailed("Multipart content is not supported with CallHttpAsync.", _FUNCTION_FAILED)
        if content is not None:
            headers.append(("Content-Type", _written(content_type or "text/plain")))
        return cls(
            str(request.get("method") or "GET").upper(),
            url,
            headers,
            None if content is None else str(content).encode("utf-8", "replace"),
            _resource(request.get("tokenSource")),
        )


_FUNCTION_FAILED = "Microsoft.Azure.WebJobs.Extensions.DurableTask.FunctionFailedException"


def read_activity_input(input_text: str | None) -> HttpCall:
    """The request in an activity's stored input. Raises HttpCallFailed."""
    elements = json.loads(input_text) if input_text else []
    return HttpCall.read(elements[0] if elements else {})


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise HttpCallFailed("Invalid URI: The URI is malformed.", "System.UriFormatException") from None
    if not parts.scheme or not parts.netloc:
        raise HttpCallFailed(
            "An invalid request URI was provided. Either the request URI must be an absolute URI or "
            "BaseAddress must be set.",
            "System.InvalidOperationException",
        )
    if parts.scheme not in ("http", "https"):
        raise HttpCallFailed(f"The '{parts.scheme}' scheme is not supported.", "System.NotSupportedException")


def _pairs(headers: object) -> list[tuple[str, str]]:
    """A header's value is a text or a list of them; what is no object has no headers."""
    if not isinstance(headers, dict):
        return []
    return [
        (name, str(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _check_header(name: str) -> None:
    if name.lower() in CONTENT_HEADERS:
        raise HttpCallFailed(
            f"Misused header name, '{name}'. Make sure request headers are used with HttpRequestMessage, "
            "response headers with HttpResponseMessage, and content headers with HttpContent objects.",
            "System.InvalidOperationException",
        )


def _written(content_type: str) -> str:
    """The header that is sent; the real host takes a media type without parameters, and says so of others."""
    if content_type.lower() == _FORM:
        return f"{_FORM}; charset=utf-8"
    if ";" in content_type or content_type.count("/") != 1:
        raise HttpCallFailed(f"The format of value '{content_type}' is invalid.", "System.FormatException")
    return content_type


def _resource(source: object) -> str | None:
    if not isinstance(source, dict):
        return None
    kind = source.get("kind")
    if kind != "AzureManagedIdentity":
        raise HttpCallFailed(
            f"The token source kind '{json.dumps(kind)}' is not supported.", "System.NotSupportedException"
        )
    return str(source.get("resource") or "")
