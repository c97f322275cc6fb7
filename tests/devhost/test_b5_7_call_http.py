"""B5.7, call_http: what is sent, and what comes back."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.identity.aio
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError

from devhost.durable.dispatcher import Dispatcher
from devhost.durable.history import Status, execution_started
from devhost.durable.http_activity import HttpActivity
from devhost.durable.http_call import HttpCallFailed
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import Invoker
from tests.devhost.counting_app import orchestrated
from tests.devhost.simulation import durable_functions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]
Body = Callable[[Any], Generator[Any, Any, Any]]


class Peer:
    """An HTTP server on the loopback that tells what it was sent."""

    def __init__(self) -> None:
        self.calls = 0
        self.url = ""
        self._gate = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> "Peer":
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def stop(self) -> None:
        assert self._runner is not None
        self._gate.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        self.calls += 1
        path = request.match_info["path"]
        if path == "slow":
            await self._gate.wait()
        if path == "moved":
            raise web.HTTPFound("/echo")
        if path == "long":
            return web.Response(status=202, headers={"Location": f"{self.url}/echo", "Retry-After": "0"})
        if path == "twice":
            twice = web.Response(status=418, text="ü", charset="latin-1")
            twice.headers.add("x-a", "1")
            twice.headers.add("x-a", "2")
            twice.headers["retry-after"] = "7"
            return twice
        told = {"method": request.method, "headers": dict(request.headers), "body": await request.text()}
        return web.json_response(told)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    made = await Peer().start()
    yield made
    await made.stop()


@pytest.fixture
async def activity() -> AsyncIterator[HttpActivity]:
    made = HttpActivity()
    yield made
    await made.close()


async def call(activity: HttpActivity, **request: Any) -> Any:
    return json.loads(await activity.run(json.dumps([{"method": "GET", **request}])))


async def echo(activity: HttpActivity, peer: Peer, **request: Any) -> Any:
    """What the peer was sent."""
    answer = await call(activity, uri=f"{peer.url}/echo", **request)
    assert answer["statusCode"] == 200
    told = json.loads(answer["content"])
    told["headers"] = {name.lower(): value for name, value in told["headers"].items()}
    return told


async def test_an_answer_has_its_status_its_headers_and_its_text(activity: HttpActivity, peer: Peer) -> None:
    answer = await call(activity, uri=f"{peer.url}/twice")
    assert (answer["statusCode"], answer["content"]) == (418, "ü")
    assert answer["headers"]["x-a"] == ["1", "2"]
    assert answer["headers"]["Retry-After"] == "7"


@pytest.mark.derived
async def test_the_headers_of_the_body_are_not_among_them(activity: HttpActivity, peer: Peer) -> None:
    answer = await call(activity, uri=f"{peer.url}/echo")
    assert not {"content-type", "content-length"} & {name.lower() for name in answer["headers"]}
    assert {"Date", "Server"} <= set(answer["headers"])


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_body_is_text_unless_it_says_otherwise(
    activity: HttpActivity, peer: Peer, method: str
) -> None:
    told = await echo(activity, peer, method=method, content='{"a": "ü"}', headers={"X-B": "c"})
    assert (told["method"], told["body"]) == (method, '{"a": "ü"}')
    assert told["headers"]["content-type"] == "text/plain"
    assert told["headers"]["x-b"] == "c"
    told = await echo(
        activity, peer, method=method, content="{}", headers={"content-type": "application/json"}
    )
    assert told["headers"]["content-type"] == "application/json"


@pytest.mark.derived
async def test_a_form_gets_a_charset_and_a_request_without_body_no_type(
    activity: HttpActivity, peer: Peer
) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    told = await echo(activity, peer, method="POST", content="a=1", headers=form)
    assert told["headers"]["content-type"] == "application/x-www-form-urlencoded; charset=utf-8"
    told = await echo(activity, peer, headers={"Content-Type": "application/json"})
    assert "content-type" not in told["headers"]


async def test_redirections_are_followed(activity: HttpActivity, peer: Peer) -> None:
    assert (await call(activity, uri=f"{peer.url}/moved"))["statusCode"] == 200


@pytest.mark.derived
@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"uri": "/relative"}, "An invalid request URI was provided"),
        ({"uri": "ftp://a/b"}, "The 'ftp' scheme is not supported."),
        ({"uri": "http://[a/"}, "Invalid URI"),
        ({"uri": "http://a/", "headers": {"Content-Length": "1"}}, "Misused header name, 'Content-Length'"),
        (
            {"uri": "http://a/", "headers": {"Content-Type": "multipart/form-data"}},
            "Multipart content is not",
        ),
        (
            {"uri": "http://a/", "content": "", "headers": {"Content-Type": "text/plain; charset=utf-8"}},
            "The format of value 'text/plain; charset=utf-8' is invalid.",
        ),
        ({"uri": "http://a/", "tokenSource": {"kind": "Other"}}, "The token source kind '\"Other\"' is not"),
    ],
)
async def test_what_the_real_host_does_not_send_fails_with_its_reason(
    activity: HttpActivity, request_: dict[str, Any], reason: str
) -> None:
    with pytest.raises(HttpCallFailed) as failure:
        await call(activity, **request_)
    assert str(failure.value).startswith(reason)


async def test_a_request_without_an_answer_in_time_fails(peer: Peer) -> None:
    activity = HttpActivity(seconds=0.05)
    with pytest.raises(HttpCallFailed, match=r"HttpClient\.Timeout of 0\.05 seconds elapsing"):
        await call(activity, uri=f"{peer.url}/slow")
    await activity.close()


async def test_a_token_source_adds_a_bearer_token(peer: Peer) -> None:
    asked = list[str]()

    async def token(resource: str) -> str:
        asked.append(resource)
        return "secret"

    activity = HttpActivity(token)
    source = {"kind": "AzureManagedIdentity", "resource": "https://r"}
    told = await echo(activity, peer, tokenSource=source, headers={})
    assert (told["headers"]["authorization"], asked) == ("Bearer secret", ["https://r"])
    await activity.close()


class Credential:
    """In place of azure-identity's, which looks for credentials on the machine and in its network."""

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def get_token(self, resource: str) -> AccessToken:
        if resource == "https://nobody":
            raise ClientAuthenticationError("nobody is signed in")
        return AccessToken(f"for {resource}", 0)


async def test_a_token_is_from_azure_identity_and_without_one_the_task_fails(
    peer: Peer, activity: HttpActivity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(azure.identity.aio, "DefaultAzureCredential", Credential)
    told = await echo(activity, peer, tokenSource={"kind": "AzureManagedIdentity", "resource": "https://r"})
    assert told["headers"]["authorization"] == "Bearer for https://r"
    nobody = {"kind": "AzureManagedIdentity", "resource": "https://nobody"}
    with pytest.raises(HttpCallFailed, match=r"resource 'https://nobody' here\. nobody is signed in"):
        await echo(activity, peer, tokenSource=nobody)


@pytest.mark.parametrize("request_", [{"headers": {"X": "a\nb"}}, {"method": "GE T"}])
async def test_what_no_client_sends_fails_the_task(
    activity: HttpActivity, peer: Peer, request_: dict[str, Any]
) -> None:
    with pytest.raises(HttpCallFailed):
        await call(activity, uri=peer.url, **request_)
    assert peer.calls == 0


async def ended(path: Path, body: Body) -> tuple[Status, str]:
    """Run an orchestration through the dispatcher, with real requests."""
    hub = TaskHub(path / "hub.sqlite")
    dispatcher = Dispatcher(hub, durable_functions(orchestrated(df.DFApp(), body)), Invoker("/", None))
    dispatcher.start()
    now = datetime.now(UTC)
    hub.create_instance("i", "1", "o", execution_started("i", "1", "o", None, now), now)
    dispatcher.wake("i")
    async with asyncio.timeout(10):
        while not (found := hub.instance("i")) or not found.status.is_final:  # noqa: ASYNC110 (no event tells it)
            await asyncio.sleep(0.01)
    await dispatcher.stop(1)
    hub.close()
    return found.status, str(found.output)


async def test_the_host_sends_what_an_orchestrator_asks_for(tmp_path: Path, peer: Peer) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        answers = yield context.task_all([context.call_http("GET", f"{peer.url}/echo") for _ in range(3)])
        return [one["statusCode"] for one in answers]

    assert await ended(tmp_path, body) == (Status.COMPLETED, "[200,200,200]")
    assert peer.calls == 3


async def test_a_peer_that_is_not_there_fails_the_task(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        try:
            yield context.call_http("GET", "http://127.0.0.1:1/")
        except Exception as error:  # noqa: BLE001 (the SDK raises nothing finer)
            return str(error)

    status, output = await ended(tmp_path, body)
    assert status is Status.COMPLETED
    assert "Cannot connect to host 127.0.0.1:1" in output
    assert "System.Net.Http.HttpRequestException" in output
