"""B5.10, doing: events, terminate, suspend, resume, rewind and purge; what no endpoint is."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from devhost.durable.client_binding import RPC_PATH
from devhost.durable.history import Event, EventType, Status
from tests.devhost.management_client import NOW, ManagementClient, content

ENDED = (Status.COMPLETED, Status.FAILED, Status.TERMINATED, Status.CANCELED)
OPERATIONS = ("terminate", "suspend", "resume", "rewind", "raiseEvent/x")
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ManagementClient]:
    client = ManagementClient(tmp_path, "o")
    yield client
    client.close()


def messages(api: ManagementClient, instance_id: str = "one") -> list[Event]:
    """What waits for an instance besides its start."""
    episode = api.hub.load_episode(instance_id)
    found = episode.messages if episode else []
    return [message for message in found if message["EventType"] != EventType.EXECUTION_STARTED]


@pytest.mark.parametrize("operation", OPERATIONS)
async def test_an_unknown_instance_is_a_404_without_a_body(api: ManagementClient, operation: str) -> None:
    answer = await api.call("POST", f"instances/one/{operation}", "1")
    assert (answer.status, answer.text) == (404, None)


@pytest.mark.parametrize(
    ("operation", "status"),
    [(o, s) for o in OPERATIONS for s in ENDED if (o, s) != ("rewind", Status.FAILED)],
)
async def test_an_ended_instance_is_a_410(api: ManagementClient, operation: str, status: Status) -> None:
    api.put("one", status)
    answer = await api.call("POST", f"instances/one/{operation}", "1")
    assert (answer.status, answer.text) == (410, None)
    assert messages(api) == []


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.SUSPENDED])
async def test_an_event_waits_for_its_instance(api: ManagementClient, status: Status) -> None:
    api.put("one", status)
    answer = await api.call(
        "POST", "instances/one/RaiseEvent/My%20Event?taskHub=H&connection=C", ' "\\"x\\"" '
    )
    assert (answer.status, answer.text) == (202, None)
    [message] = messages(api)
    assert (message["EventType"], message["Name"]) == (15, "My Event")
    assert message["Input"] == '"\\"x\\""'


@pytest.mark.parametrize("given", ["text/plain", "application/octet-stream", "application/jsonx"])
async def test_an_event_that_is_not_sent_as_json_is_refused(api: ManagementClient, given: str) -> None:
    api.put("one", Status.RUNNING)
    answer = await api.call("POST", "instances/one/raiseEvent/x", "1", {"Content-Type": given})
    assert answer.status == 400
    assert content(answer) == {"Message": "Only application/json request content is supported"}
    assert messages(api) == []


async def test_the_content_type_is_read_in_any_case_and_with_its_charset(api: ManagementClient) -> None:
    api.put("one", Status.RUNNING)
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert (await api.call("POST", "instances/one/raiseEvent/x", "1", headers)).status == 202


@pytest.mark.parametrize("body", ["{", "", "   ", "[" * 100_000, "[" * 65 + "]" * 65])
async def test_an_event_that_is_no_json_is_refused(api: ManagementClient, body: str) -> None:
    api.put("one", Status.RUNNING)
    answer = await api.call("POST", "instances/one/raiseEvent/x", body, JSON)
    assert (answer.status, content(answer)["Message"]) == (400, "Invalid JSON content")
    assert content(answer)["ExceptionType"] == "Newtonsoft.Json.JsonReaderException"
    assert messages(api) == []


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'"\xff"', JSON),
        (b"1", {"Content-Type": "application/json; charset=nonsense"}),
        (b"1", JSON | {"Content-Length": "104857601"}),
    ],
)
async def test_an_event_that_cannot_be_read_is_refused(
    api: ManagementClient, body: bytes, headers: dict[str, str]
) -> None:
    api.put("one", Status.RUNNING)
    answer = await api.call("POST", "instances/one/raiseEvent/x", body, headers)
    assert (answer.status, content(answer)["ExceptionType"]) == (400, "System.ArgumentException")


@pytest.mark.parametrize(("query", "reason"), [("?reason=it%20was+enough", "it was enough"), ("", None)])
async def test_a_termination_waits_with_its_reason(
    api: ManagementClient, query: str, reason: str | None
) -> None:
    api.put("one", Status.RUNNING)
    assert (await api.call("POST", f"instances/one/terminate{query}")).status == 202
    [message] = messages(api)
    assert (message["EventType"], message["Input"]) == (3, reason)


@pytest.mark.parametrize(
    ("operation", "status", "kind"),
    [
        ("suspend", Status.RUNNING, 19),
        ("suspend", Status.PENDING, 19),
        ("resume", Status.SUSPENDED, 20),
        ("terminate", Status.SUSPENDED, 3),
    ],
)
async def test_what_can_be_done_in_a_state_is_a_202(
    api: ManagementClient, operation: str, status: Status, kind: int
) -> None:
    api.put("one", status)
    answer = await api.call("POST", f"instances/one/{operation.upper()}?reason=r")
    assert (answer.status, answer.text) == (202, None)
    assert [message["EventType"] for message in messages(api)] == [kind]


@pytest.mark.derived
@pytest.mark.parametrize(
    ("operation", "status"),
    [("suspend", Status.SUSPENDED), ("resume", Status.RUNNING), ("resume", Status.PENDING)],
)
async def test_what_cannot_be_done_in_a_state_is_a_500(
    api: ManagementClient, operation: str, status: Status
) -> None:
    api.put("one", status)
    answer = await api.call("POST", f"instances/one/{operation}?reason=r")
    assert answer.status == 500
    assert content(answer) == {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": f"Cannot {operation} the orchestration instance one because instance is in the "
        f"{status.text} state.",
        "ExceptionType": "System.InvalidOperationException",
        "StackTrace": "",
    }
    assert messages(api) == []


async def test_what_has_failed_is_rewound_and_runs(api: ManagementClient) -> None:
    api.put("one", Status.FAILED)
    answer = await api.call("POST", "instances/one/Rewind?reason=again")
    assert (answer.status, answer.text) == (202, None)
    assert content(await api.call("GET", "instances/one"))["runtimeStatus"] == "Running"
    assert [(message["EventType"], message["Data"]) for message in messages(api)] == [(17, "again")]


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.SUSPENDED])
async def test_what_has_not_failed_cannot_be_rewound(api: ManagementClient, status: Status) -> None:
    api.put("one", status)
    answer = await api.call("POST", "instances/one/rewind?reason=r")
    assert answer.status == 500
    assert content(answer)["ExceptionMessage"] == (
        "The rewind operation is only supported on failed orchestration instances."
    )


async def test_one_is_purged_when_it_has_ended(api: ManagementClient) -> None:
    for status in (*ENDED, Status.PENDING, Status.RUNNING, Status.SUSPENDED):
        api.put(status.text, status)
    for status in ENDED:
        answer = await api.call("DELETE", f"instances/{status.text}")
        assert (answer.status, content(answer)) == (200, {"instancesDeleted": 1})
        assert (await api.call("DELETE", f"instances/{status.text}")).status == 404
    for status in (Status.PENDING, Status.RUNNING, Status.SUSPENDED):
        answer = await api.call("DELETE", f"instances/{status.text}")
        assert (answer.status, answer.text) == (404, None)
        assert api.hub.instance(status.text) is not None


async def test_many_are_purged_by_filter(api: ManagementClient) -> None:
    for minute, status in enumerate([Status.COMPLETED, Status.RUNNING, Status.FAILED, Status.TERMINATED]):
        api.put(f"i{minute}", status, now=NOW + timedelta(minutes=minute))
    first = "createdTimeFrom=2026-01-01T00:00:00.000000Z"
    answer = await api.call("DELETE", f"instances/?{first}&runtimeStatus=Failed,Running")
    assert (answer.status, content(answer)) == (200, {"instancesDeleted": 1})
    assert (await api.call("DELETE", f"instances/?{first}&runtimeStatus=Failed")).status == 404
    answer = await api.call("DELETE", f"instances?{first}&createdTimeTo=2026-01-01T00:01:00Z")
    assert content(answer) == {"instancesDeleted": 1}
    assert [instance.instance_id for instance in api.hub.instances()] == ["i1", "i3"]


@pytest.mark.parametrize("query", ["", "?createdTimeFrom=", "?createdTimeFrom=then", "?runtimeStatus=Failed"])
async def test_a_purge_by_filter_needs_a_beginning(api: ManagementClient, query: str) -> None:
    api.put("one", Status.FAILED)
    answer = await api.call("DELETE", f"instances{query}")
    assert answer.status == 400
    assert content(answer) == "Please provide value for 'createdTimeFrom' parameter."
    assert api.hub.instance("one") is not None


async def test_a_purge_of_many_lets_others_have_their_turn(api: ManagementClient) -> None:
    for number in range(1000):
        status = Status.RUNNING if number % 10 == 0 else Status.COMPLETED
        api.put(f"i{number:04}", status, now=NOW + timedelta(seconds=number // 7))
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    answer = await api.call("DELETE", "instances?createdTimeFrom=2020-01-01")
    others.cancel()
    assert content(answer) == {"instancesDeleted": 900}
    assert {instance.status for instance in api.hub.instances()} == {Status.RUNNING}
    assert turns >= 5


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "orchestrators/o"),
        ("DELETE", "orchestrators/o/one"),
        ("POST", "orchestrators"),
        ("POST", "orchestrators/o/one/two"),
        ("PUT", "instances/one"),
        ("POST", "instances"),
        ("POST", "instances/one"),
        ("GET", "instances/one/terminate"),
        ("POST", "instances/one/dance"),
        ("POST", "instances/one/raiseEvent"),
        ("GET", "instances/one/raiseEvent/x"),
        ("POST", "instances/one/terminate/now"),
        ("GET", "instances//one"),
        ("GET", "nothing"),
        ("GET", ""),
    ],
)
async def test_what_is_no_endpoint_is_a_404(api: ManagementClient, method: str, path: str) -> None:
    api.put("one", Status.RUNNING)
    answer = await api.call(method, path, "1")
    assert (answer.status, answer.text) == (404, None)
    assert messages(api) == []


async def test_paths_and_bases_are_read_in_any_case(api: ManagementClient) -> None:
    api.put("one", Status.RUNNING)
    for path in (f"{RPC_PATH.upper()}/INSTANCES/one/", "/Runtime/WebHooks/DurableTask/Instances/one"):
        answer = await api.send("GET", path)
        assert answer is not None
        assert json.loads(answer.text or "")["instanceId"] == "one"
    assert (await api.call("GET", "instances/ONE")).status == 404


async def test_other_paths_are_left_to_others(api: ManagementClient) -> None:
    for path in ("/", "/api/o", "/durabletasks/instances/one", "/runtime/webhooks/blobs"):
        assert await api.send("GET", path) is None
