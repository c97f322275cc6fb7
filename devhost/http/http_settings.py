"""host.json's `extensions.http`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.http.http_response import check_header
from devhost.http.request_limits import UNBOUNDED

_MOST_REQUESTS = 2_147_483_647


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """`custom_headers` go with every answer that has none of the name. A limit of -1 is none."""

    route_prefix: str = "api"
    max_concurrent: int = UNBOUNDED
    max_outstanding: int = UNBOUNDED
    custom_headers: Mapping[str, str] = field(default_factory=dict)


def read_http_settings(host_json: HostJson) -> HttpSettings:
    """Read the settings. Raises HostStartError."""
    return HttpSettings(
        route_prefix=host_json.get_text("extensions.http.routePrefix", "api").strip("/"),
        max_concurrent=_limit(host_json, "extensions.http.maxConcurrentRequests"),
        max_outstanding=_limit(host_json, "extensions.http.maxOutstandingRequests"),
        custom_headers=_headers(host_json, "extensions.http.customHeaders"),
    )


def _limit(host_json: HostJson, path: str) -> int:
    number = host_json.get_int(path, UNBOUNDED, low=UNBOUNDED, high=_MOST_REQUESTS)
    if number == 0:
        raise HostStartError(f"host.json: {path} must be -1 (no limit) or at least 1.")
    return number


def _headers(host_json: HostJson, path: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in host_json.get_table(path).items():
        if not isinstance(value, str):
            raise HostStartError(f"host.json: {path}.{name} must be a string, not {value!r}.")
        try:
            check_header(name, value)
        except ValueError as error:
            raise HostStartError(f"host.json: {path}: {error}") from None
        headers[name] = value
    return headers
