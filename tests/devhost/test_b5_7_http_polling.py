"""B5.7, call_http in orchestrations: its place in the history, and how long an answer of 202 is followed."""

import json
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest
from azure.durable_functions.models.DurableHttpRequest import DurableHttpRequest

from devhost.durable.history import EventType, Status
from tests.devhost.counting_app import orchestrated
from tests.devhost.simulation import START, Simulation, durable_functions

pytestmark = [
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]
Body = Callable[[Any], Generator[Any, Any, Any]]


class Answering(Simulation):
    """Gives the answers in turn, the last for ever; notes the requests and when they came."""

    answers: list[dict[str, Any]]
    asked: list[tuple[datetime, dict[str, Any]]]

    def answer_http(self, input_text: str | None) -> str:
        [request] = json.loads(input_text or "")
        self.asked.append((self.now, request))
        return json.dumps(self.answers[min(len(self.asked), len(self.answers)) - 1])


async def run(path: Path, body: Body, *answers: dict[str, Any], **options: Any) -> Answering:
    simulation = Answering(
        path / "hub.sqlite", durable_functions(orchestrated(df.DFApp(), body)), restarts=True, **options
    )
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
