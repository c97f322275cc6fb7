"""B5.7, call_http: what is sent, what comes back, and how long an answer of 202 is followed."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import azure.identity.aio
import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.durable_functions.models.DurableHttpRequest import DurableHttpRequest

from devhost.durable.dispatcher import Dispatcher
from devhost.durable.history import EventType, Status, execution_started
from devhost.durable.http_activity import HttpActivity
from devhost.durable.http_call import HttpCallFailed
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import Invoker
from tests.devhost.simulation import START, Simulation, durable_functions

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


def app_of(body: Body) -> df.DFApp:
    app = df.DFApp()
    app.orchestration_trigger(context_name="context", orchestration="o")(body)
    return app


class Answering(Simulation):
    """Gives the answers in turn, the last for ever; notes the requests and when they came."""

    answers: list[dict[str, Any]]
    asked: list[tuple[datetime, dict[str, Any]]]

    def answer_http(self, input_text: str | None) -> str:
        [request] = json.loads(input_text or "")
        self.asked.append((self.now, request))
        return json.dumps(self.answers[min(len(self.asked), len(self.answers)) - 1])


async def run(path: Path, body: Body, *answers: dict[str, Any], **options: Any) -> Answering:
    simulation = Answering(path / "hub.sqlite", durable_functions(app_of(body)), restarts=True, **options)
    simulation.answers, simulation.asked = list(answers), []
    simulation.start("o")
    await simulation.run()
    return simulation


def answer(status: int, **headers: str) -> dict[str, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"statusCode": status, "headers": named, "content": ""}


async def test_an_orchestrator_gets_the_answer_as_a_dict(tmp_path: Path) -> None:
    def body(context: Any) -> Generator[Any, Any, Any]:
        return (yield context.call_http("POST", "http://a/b", {"x": 1}, {"X-Y": "z"}))

    simulation = await run(tmp_path, body, answer(200, X="y"))
    assert json.loads(simulation.instance().output or "") == answer(200, X="y")
    scheduled = next(e for e in simulation.history() if e["EventType"] == EventType.TASK_SCHEDULED)
    assert scheduled["Name"] == "BuiltIn::HttpActivity"
    assert json.loads(scheduled["Input"]) == [
        {"method": "POST", "uri": "http://a/b", "content": '{"x": 1}', "headers": {"X-Y": "z"}}
    ]


async def test_a_202_is_what_an_app_of_sdk_1_7_gets(tmp_path: Path) -> None:
    """The SDK does not ask for polling (durable-python issue 380): the host must not poll, or ids part."""

    def body(context: Any) -> Generator[Any, Any, Any]:
        first = yield context.call_http("GET", "http://a/b")
        second = yield context.call_http("GET", "http://a/c")
        return [first["statusCode"], second["statusCode"]]

    simulation = await run(tmp_path, body, answer(202, Location="http://a/l"), answer(200))
    assert json.loads(simulation.instance().output or "") == [202, 200]
    assert [request["uri"] for _, request in simulation.asked] == ["http://a/b", "http://a/c"]


@pytest.fixture
def asking_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """An SDK that asks for polling, as that for JavaScript does."""
    to_json = DurableHttpRequest.to_json
    monkeypatch.setattr(
        DurableHttpRequest, "to_json", lambda self: {**to_json(self), "asynchronousPatternEnabled": True}
    )


def asks(context: Any) -> Generator[Any, Any, Any]:
    return (yield context.call_http("POST", "http://a/b?c", "x", {"x-functions-key": "k", "X-Y": "z"}))


@pytest.mark.derived
@pytest.mark.usefixtures("asking_sdk")
async def test_polling_takes_an_id_for_each_request_and_each_pause(tmp_path: Path) -> None:
    wait, done = answer(202, Location="http://a/l", Retry_After="10"), answer(200)
    simulation = await run(tmp_path, asks, wait, wait, done)
    assert simulation.kinds() == [
        12,
        0,
        4,
        13,
        12,
        5,
        10,
        13,
        12,
        11,
        4,
        13,
        12,
        5,
        10,
        13,
        12,
        11,
        4,
        13,
        12,
        5,
        1,
        13,
    ]
    ids = [e["EventId"] for e in simulation.history() if e["EventType"] in (4, 10)]
    assert ids == [0, 1, 2, 3, 4]
    assert simulation.instance().status is Status.COMPLETED
    first, second, third = simulation.asked
    for (before, _), (after, request) in ((first, second), (second, third)):
        assert timedelta(seconds=10) <= after - before < timedelta(seconds=11)
        assert (request["method"], request["uri"], request["content"]) == ("GET", "http://a/l", None)
        assert request["headers"] == {"X-Y": "z"}


@pytest.mark.derived
@pytest.mark.usefixtures("asking_sdk")
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ({}, 30),
        ({"Retry_After": "5"}, 5),
        ({"Retry_After": (START + timedelta(minutes=2)).strftime("%a, %d %b %Y %H:%M:%S GMT")}, 120),
        ({"Retry_After": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"Retry_After": "soon"}, 30),
    ],
)
async def test_a_pause_is_what_the_answer_says_or_half_a_minute(
    tmp_path: Path, header: dict[str, str], seconds: int
) -> None:
    simulation = await run(tmp_path, asks, answer(202, Location="/l", **header), answer(200))
    (first, _), (second, request) = simulation.asked
    assert abs((second - first).total_seconds() - seconds) < 1
    assert request["uri"] == "http://a/l"


@pytest.mark.derived
@pytest.mark.usefixtures("asking_sdk")
async def test_a_202_that_names_no_place_is_the_end(tmp_path: Path) -> None:
    simulation = await run(tmp_path, asks, answer(202, Retry_After="1"))
    assert (len(simulation.asked), simulation.instance().status) == (1, Status.COMPLETED)


@pytest.mark.derived
@pytest.mark.usefixtures("asking_sdk")
async def test_an_sdk_that_asked_and_did_not_count_would_part_from_its_history(tmp_path: Path) -> None:
    """Why the flag must not be sent from Python: the SDK takes the 202, and then the pause for an answer."""

    def body(context: Any) -> Generator[Any, Any, Any]:
        first = yield context.call_http("GET", "http://a/b")
        return [first["statusCode"], (yield context.call_http("GET", "http://a/c"))]

    simulation = await run(tmp_path, body, answer(202, Location="/l", Retry_After="1"), answer(200))
    assert json.loads(simulation.instance().output or "") == [202, None]
    assert [request["uri"] for _, request in simulation.asked] == ["http://a/b", "http://a/l", "http://a/c"]


async def ended(path: Path, body: Body) -> tuple[Status, str]:
    """Run an orchestration through the dispatcher, with real requests."""
    hub = TaskHub(path / "hub.sqlite")
    dispatcher = Dispatcher(hub, durable_functions(app_of(body)), Invoker("/", None))
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
