"""Who may call what. Without keys (the default, as under `func start`) everyone may call everything."""

import ipaddress

from aiohttp import web

from devhost.http.host_keys import DURABLE_KEY, HostKeys, Level
from devhost.indexing.function_binding import FunctionDefinition

_KEY_HEADER, _KEY_PARAMETER = "x-functions-key", "code"
_OPEN_PATH = "/admin/host/ping"
_RPC_PATH = "/durabletask"


class Authorization:
    """Answers for one request whether it may go on."""

    def __init__(self, keys: HostKeys | None) -> None:
        self._keys = keys
        self.is_off = keys is None

    def may_call(self, function: FunctionDefinition, request: web.BaseRequest) -> bool:
        """Whether the caller's key reaches the function's level."""
        if self._keys is None:
            return True
        level = Level[str(function.trigger.properties.get("authLevel") or "FUNCTION").upper()]
        if level is Level.ANONYMOUS:
            return True
        reached = self._keys.level_of(_key_of(request), function.name)
        return reached in (level, Level.ADMIN)

    def sees_api(self, path: str, request: web.BaseRequest) -> bool:
        """Whether the host's own path is there for the caller at all.

        The client's RPC path is, on the real host, a server of its own on the loopback interface.
        """
        return not _is_below(path, _RPC_PATH) or is_from_this_machine(request)

    def may_use_api(self, path: str, request: web.BaseRequest) -> bool:
        """Whether the caller's key opens the path: the master key /admin, the durable system key /runtime."""
        if self._keys is None or path.lower().rstrip("/") == _OPEN_PATH:
            return True
        if _is_below(path, "/admin"):
            return self._keys.level_of(_key_of(request)) is Level.ADMIN
        if _is_below(path, "/runtime"):
            return self._keys.opens_system(_key_of(request), DURABLE_KEY)
        return True


def is_from_this_machine(request: web.BaseRequest) -> bool:
    """Whether the caller sits on the loopback interface, or on the very address that it called."""
    transport = request.transport
    if transport is None or request.remote is None:
        return False
    own = transport.get_extra_info("sockname")
    try:
        is_loopback = ipaddress.ip_address(request.remote.partition("%")[0]).is_loopback
    except ValueError:
        return False
    return is_loopback or (isinstance(own, tuple) and own[0] == request.remote)


def _key_of(request: web.BaseRequest) -> str:
    """The caller's key: of the header when there is one, else of the query."""
    given = request.headers.get(_KEY_HEADER)
    return given if given is not None else request.query.get(_KEY_PARAMETER, "")


def _is_below(path: str, place: str) -> bool:
    return f"{path.lower()}/".startswith(f"{place}/")
