"""The routes below /admin that show, set and delete keys; they are there when the host has keys."""

from urllib.parse import unquote

from aiohttp import web

from devhost.http.host_keys import DURABLE_KEY, MASTER_KEY, HostKeys, new_key

_HOST_SCOPES = ("keys", "functionkeys", "systemkeys")


class KeyApi:
    """Keys of the host (`/admin/host/keys`, `functionkeys`, `systemkeys`) and of single functions."""

    def __init__(self, keys: HostKeys) -> None:
        self._keys = keys

    async def handle(self, request: web.Request, raw_path: str) -> web.Response | None:
        """Answer, or None when the path is none of keys."""
        match [unquote(part) for part in raw_path.strip("/").split("/")]:
            case [admin, host, scope, *name] if (admin.lower(), host.lower()) == (
                "admin",
                "host",
            ) and scope.lower() in _HOST_SCOPES:
                is_system = scope.lower() == "systemkeys"
                store = self._keys.system if is_system else self._keys.host
                return await self._answer(request, store, name, is_host=True, is_system=is_system)
            case [admin, functions, function, keys, *name] if (
                admin.lower(),
                functions.lower(),
                keys.lower(),
            ) == ("admin", "functions", "keys"):
                own = self._keys.functions.get(function.lower())
                if own is None:
                    return web.Response(status=404)
                return await self._answer(request, own, name, is_host=False, is_system=False)
        return None

    async def _answer(
        self, request: web.Request, store: dict[str, str], rest: list[str], *, is_host: bool, is_system: bool
    ) -> web.Response:
        answer = web.Response(status=404)
        match (request.method, rest):
            case ("GET", []):
                shown = [{"name": name, "value": value} for name, value in store.items()]
                answer = web.json_response({"keys": shown, "links": _links(request)})
            case ("GET", [name]) if is_system and name.lower() == MASTER_KEY:
                answer = _shown(request, MASTER_KEY, self._keys.master)
            case ("GET", [name]) if (known := _known(store, name)) is not None:
                answer = _shown(request, known, store[known])
            case ("POST" | "PUT", [name]) if name:
                is_master = is_host and name.lower() == MASTER_KEY
                answer = await self._set(request, store, name, is_master=is_master)
            case ("DELETE", [name]):
                answer = self._delete(store, name)
        return answer

    async def _set(
        self, request: web.Request, store: dict[str, str], name: str, *, is_master: bool
    ) -> web.Response:
        """POST makes a new value, PUT takes that of the body."""
        value = new_key() if request.method == "POST" else await _value_of(request)
        if not value:
            return web.json_response({"Message": "Invalid key value"}, status=400)
        known = _known(store, name)
        if is_master:
            self._keys.master = value
        else:
            store[known or name] = value
        self._keys.write()
        return _shown(request, known or name, value, status=200 if known or is_master else 201)

    def _delete(self, store: dict[str, str], name: str) -> web.Response:
        if name.startswith("_"):
            return web.json_response({"Message": "Invalid key name."}, status=400)
        known = _known(store, name)
        if known is None:
            return web.Response(status=404)
        del store[known]
        if known == DURABLE_KEY:  # the host cannot be without it: it is made anew, as at the next start
            store[known] = new_key()
        self._keys.write()
        return web.Response(status=204)


async def _value_of(request: web.Request) -> str | None:
    try:
        body = await request.json()
    except (ValueError, LookupError, RecursionError):
        return None
    members = body.items() if isinstance(body, dict) else ()
    value = next((value for name, value in members if name.lower() == "value"), None)
    return value if isinstance(value, str) and value.isprintable() else None


def _known(store: dict[str, str], name: str) -> str | None:
    return next((known for known in store if known.lower() == name.lower()), None)


def _shown(request: web.Request, name: str, value: str, *, status: int = 200) -> web.Response:
    return web.json_response({"name": name, "value": value, "links": _links(request)}, status=status)


def _links(request: web.Request) -> list[dict[str, str]]:
    return [{"rel": "self", "href": f"http://{request.host}{request.rel_url.raw_path}"}]
