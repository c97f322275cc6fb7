"""Contract B2, authorization: which key opens what once `--enable-auth` is given, and where keys live."""

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from aiohttp import web

from devhost.admin.key_api import KeyApi
from devhost.durable.client_binding import RPC_PATH, WEBHOOK_PATH
from devhost.errors import HostStartError
from devhost.http.authorization import Authorization
from devhost.http.host_keys import DURABLE_KEY, HostKeys, Level
from tests.devhost.conftest import StartHost
from tests.devhost.served_functions import Served, http_function, serving
from tests.devhost.written_app import write_app


async def hello(req: func.HttpRequest) -> str:
    return "hello"


@pytest.fixture
def keys(tmp_path: Path) -> HostKeys:
    return HostKeys.read(tmp_path / "keys.json", ["needs_function", "needs_admin", "other"])


FUNCTIONS = [
    http_function(hello, "open", name="open"),
    http_function(hello, "function", name="needs_function", level="FUNCTION"),
    http_function(hello, "other", name="other", level="FUNCTION"),
    http_function(hello, "admin", name="needs_admin", level="ADMIN"),
]


async def statuses(served: Served, key: str | None) -> dict[str, int]:
    headers = {} if key is None else {"X-Functions-Key": key}
    paths = ("open", "function", "other", "admin")
    return {path: (await served.call("GET", f"/api/{path}", headers=headers))[0] for path in paths}


async def test_each_kind_of_key_opens_what_it_should(keys: HostKeys) -> None:
    own = keys.functions["needs_function"]["default"]
    nothing = {"open": 200, "function": 401, "other": 401, "admin": 401}
    async with serving(*FUNCTIONS, keys=keys) as served:
        assert await statuses(served, None) == nothing
        assert await statuses(served, "") == nothing
        assert await statuses(served, "wrong") == nothing
        assert await statuses(served, keys.system[DURABLE_KEY]) == nothing
        assert await statuses(served, own) == {**nothing, "function": 200}
        assert await statuses(served, keys.host["default"]) == {**nothing, "function": 200, "other": 200}
        assert await statuses(served, keys.master) == dict.fromkeys(nothing, 200)
        assert await served.call("GET", "/api/admin") == (401, "")


async def test_the_header_wins_over_the_query(keys: HostKeys) -> None:
    own = keys.host["default"]
    async with serving(*FUNCTIONS, keys=keys) as served:
        for path, key, status in (
            (f"/api/function?code={own}", None, 200),
            (f"/api/function?code={own}", "wrong", 401),
            (f"/api/function?code={own}", "", 401),
            ("/api/function?code=wrong", own, 200),
        ):
            headers = {} if key is None else {"x-functions-key": key}
            assert (await served.call("GET", path, headers=headers))[0] == status


async def test_without_keys_everyone_may_call_everything() -> None:
    async with serving(*FUNCTIONS) as served:
        assert set((await statuses(served, None)).values()) == {200}


async def test_a_path_or_verb_that_leads_nowhere_is_404_with_any_key(keys: HostKeys) -> None:
    async with serving(http_function(hello, methods=["GET"], level="ADMIN"), keys=keys) as served:
        assert (await served.call("GET", "/api/nothing"))[0] == 404
        assert (await served.call("POST", "/api/hello"))[0] == 404


async def _every_api(request: web.Request, path: str) -> web.Response | None:
    return None if path == "/" else web.Response(text=path)


async def test_the_hosts_own_paths_ask_for_the_master_key_or_the_durable_system_key(keys: HostKeys) -> None:
    master, system = keys.master, keys.system[DURABLE_KEY]
    webhook = f"{WEBHOOK_PATH}/instances"
    async with serving(keys=keys, apis=[_every_api]) as served:
        for path, key, status in (
            ("/admin/host/ping", "", 200),
            ("/ADMIN/host/PING/", "", 200),
            ("/admin/host/status", "", 401),
            ("/admin/host/status", keys.host["default"], 401),
            ("/admin/host/status", system, 401),
            ("/admin/host/status", master, 200),
            ("/Admin", "", 401),
            ("/x/../admin/functions", "", 401),
            ("/%61dmin/functions", "", 401),
            ("/admin/%2e%2e/admin/host/ping/../status", "", 401),
            (webhook, "", 401),
            (webhook.upper(), "", 401),
            (webhook, keys.host["default"], 401),
            (webhook, system, 200),
            (webhook, master, 200),
            (f"{RPC_PATH}/instances", "", 200),
            ("/devhost", "", 200),
        ):
            answer = await served.call("GET", path, headers={"x-functions-key": key})
            assert answer[0] == status, (path, answer)
        assert (await served.call("GET", f"{webhook}?code={system}"))[0] == 200


async def test_an_api_sees_the_path_that_was_checked(keys: HostKeys) -> None:
    async with serving(keys=keys, apis=[_every_api]) as served:
        headers = {"x-functions-key": keys.master}
        for raw, path in (
            ("/x/../admin/host/ping", "/admin/host/ping"),
            ("/admin/a%20b/%2e%2e/c%2Fd", "/admin/c%2Fd"),
            ("/admin/a%20b", "/admin/a%20b"),
        ):
            assert await served.call("GET", raw, headers=headers) == (200, path)
        assert (await served.call("GET", "//admin/host/status"))[0] == 404


class _Caller:
    """As much of a request as tells where it comes from."""

    def __init__(self, remote: str | None, own: str) -> None:
        self.remote, self._own = remote, own
        self.headers: Mapping[str, str] = {}
        self.query: Mapping[str, str] = {}

    @property
    def transport(self) -> Any:
        return self

    def get_extra_info(self, name: str) -> Any:
        assert name == "sockname"
        return (self._own, 7071)


@pytest.mark.parametrize(
    ("remote", "own", "is_seen"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.3.2.1", "127.0.0.1", True),
        ("::1", "::1", True),
        ("10.0.0.5", "10.0.0.5", True),
        ("10.0.0.6", "10.0.0.5", False),
        (None, "10.0.0.5", False),
        ("nonsense", "10.0.0.5", False),
    ],
)
def test_the_rpc_path_is_there_for_callers_of_this_machine_alone(
    remote: str | None, own: str, is_seen: bool, keys: HostKeys
) -> None:
    caller: Any = _Caller(remote, own)
    assert Authorization(None).sees_api(f"{RPC_PATH}/instances", caller) == is_seen
    assert Authorization(keys).sees_api("/durabletaskX", caller)
    assert Authorization(keys).sees_api("/admin/host/status", caller)


def test_the_file_of_keys_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys = HostKeys.read(path, ["One"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert set(json.loads(path.read_text())["functions"]) == {"one"}
    again = HostKeys.read(path, ["one", "two"])
    assert (again.master, again.host, again.functions["one"]) == (
        keys.master,
        keys.host,
        keys.functions["one"],
    )
    assert again.functions["two"]["default"]
    values = [again.master, *again.host.values(), *again.system.values(), *again.functions["two"].values()]
    assert len(set(values)) == 4
    assert min(len(value) for value in values) > 40


@pytest.mark.parametrize("text", ["", "[]", "{", '{"functionKeys": 5}', '{"functions": {"a": 1}}', '"x"'])
def test_a_file_that_holds_no_keys_stops_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(HostStartError, match=r"keys\.json cannot be read as a file of keys"):
        HostKeys.read(path, [])


def test_an_empty_key_in_the_file_opens_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text('{"functionKeys": {"default": ""}, "systemKeys": {"durabletask_extension": ""}}')
    keys = HostKeys.read(path, [])
    assert keys.level_of("") is Level.ANONYMOUS
    assert not keys.opens_system("", DURABLE_KEY)


async def test_keys_are_shown_set_and_deleted_by_the_admin_routes(keys: HostKeys) -> None:
    async with serving(*FUNCTIONS, keys=keys, apis=[KeyApi(keys).handle]) as served:

        async def ask(method: str, path: str, body: object = None) -> tuple[int, Any]:
            headers = {"x-functions-key": keys.master}
            status, text = await served.call(method, path, headers=headers, json=body)
            return status, json.loads(text) if text else None

        _, shown = await ask("GET", "/admin/host/keys")
        assert shown["keys"] == [{"name": "default", "value": keys.host["default"]}]
        assert shown["links"][0]["rel"] == "self"
        assert (await ask("GET", "/admin/host/functionKeys/DEFAULT"))[1]["name"] == "default"
        assert (await ask("GET", "/admin/host/systemkeys"))[1]["keys"][0]["name"] == DURABLE_KEY
        assert (await ask("GET", "/admin/host/systemkeys/_master"))[1]["value"] == keys.master
        assert (await ask("GET", "/admin/host/keys/_master"))[0] == 404
        path = "/admin/functions/Needs_Function/keys"
        assert [key["name"] for key in (await ask("GET", path))[1]["keys"]] == ["default"]
        status, made = await ask("POST", f"{path}/mine")
        assert (status, made["name"]) == (201, "mine")
        assert (await statuses(served, made["value"]))["function"] == 200
        assert (await ask("PUT", f"{path}/mine", {"name": "mine", "value": "my own"}))[0] == 200
        assert (await statuses(served, "my own")) == {
            "open": 200,
            "function": 200,
            "other": 401,
            "admin": 401,
        }
        assert (await statuses(served, made["value"]))["function"] == 401
        assert HostKeys.read(keys.path, []).functions["needs_function"]["mine"] == "my own"
        assert (await ask("DELETE", f"{path}/mine"))[0] == 204
        assert (await ask("DELETE", f"{path}/mine"))[0] == 404
        assert (await ask("DELETE", "/admin/host/keys/_master"))[0] == 400
        assert (await ask("GET", "/admin/functions/unknown/keys"))[0] == 404
        for body in (None, {}, {"value": 5}, {"value": ""}, {"value": "a\nb"}, [1]):
            assert (await ask("PUT", "/admin/host/keys/x", body))[0] == 400, body
        old = keys.master
        assert (await ask("POST", "/admin/host/keys/_master"))[0] == 200
        assert keys.master != old
        assert (await served.call("GET", "/admin/host/keys", headers={"x-functions-key": old}))[0] == 401


APP = """
import azure.durable_functions as df
app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="hello")
async def hello(req: func.HttpRequest) -> str:
    return "hello"

@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    return client.create_check_status_response(req, await client.start_new("nothing"))

@app.orchestration_trigger(context_name="context")
def nothing(context: df.DurableOrchestrationContext):
    return "done"
    yield
"""


def test_a_host_with_keys_hands_the_system_key_to_its_clients_and_logs_no_key(
    start_host: StartHost, tmp_path: Path
) -> None:
    app = write_app(tmp_path / "app", APP)
    host = start_host(app, place=tmp_path, arguments=("start", "--enable-auth")).wait_until_up()
    keys = json.loads((tmp_path / "data" / "keys.json").read_text())
    assert host.call("GET", "/api/hello").status == 401
    assert host.call("GET", f"/api/hello?code={keys['functions']['hello']['default']}").text == "hello"
    started = host.call("POST", "/api/start", headers={"x-functions-key": keys["functionKeys"]["default"]})
    assert started.status == 202
    url = started.json()["statusQueryGetUri"].partition(str(host.port))[2]
    assert host.call("GET", url).status in (200, 202)
    assert host.call("GET", url.partition("&code=")[0]).status == 401
    master = {"x-functions-key": keys["masterKey"]}
    made = host.call("POST", f"/admin/host/systemkeys/{DURABLE_KEY}", headers=master)
    assert made.status == 200
    assert host.call("GET", url).status == 401
    again = host.call("POST", "/api/start", headers=master).json()["statusQueryGetUri"]
    assert again.partition("&code=")[2] == made.json()["value"].replace("=", "%3D")
    assert host.call("GET", again.partition(str(host.port))[2]).status in (200, 202)
    assert host.stop() == 0
    flat = [
        made.json()["value"],
        keys["masterKey"],
        *keys["functionKeys"].values(),
        *keys["systemKeys"].values(),
    ]
    flat += [value for own in keys["functions"].values() for value in own.values()]
    assert [key for key in flat if key in host.log] == []
    assert "keys.json" in host.log
