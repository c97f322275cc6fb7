"""B5.10, looking: `GET instances/{id}` and the list with its filters."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.durable.history import Status
from tests.devhost.management_client import NOW, ManagementClient, content

GOING_ON = (Status.PENDING, Status.RUNNING, Status.SUSPENDED, Status.CONTINUED_AS_NEW)
ENDED = (Status.COMPLETED, Status.FAILED, Status.TERMINATED, Status.CANCELED)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ManagementClient]:
    client = ManagementClient(tmp_path, "o")
    yield client
    client.close()


async def test_the_body_of_a_status(api: ManagementClient) -> None:
    api.put("one", Status.COMPLETED, given='{"a": 1}', output="[1, 2]", now=NOW + timedelta(seconds=1.25))
    assert content(await api.call("GET", "instances/one")) == {
        "name": "o",
        "instanceId": "one",
        "runtimeStatus": "Completed",
        "input": {"a": 1},
        "customStatus": None,
        "output": [1, 2],
        "createdTime": "2026-01-01T00:00:01Z",
        "lastUpdatedTime": "2026-01-01T00:00:01Z",
    }


async def test_what_is_no_json_is_shown_as_a_string(api: ManagementClient) -> None:
    api.put("one", Status.TERMINATED, given="plain {", output="it was enough")
    view = content(await api.call("GET", "instances/one"))
    assert (view["input"], view["output"]) == ("plain {", "it was enough")


@pytest.mark.derived
async def test_what_is_nested_too_deeply_is_shown_as_a_string(api: ManagementClient) -> None:
    deep = "[" * 65 + "]" * 65
    api.put("one", Status.COMPLETED, output=deep)
    assert content(await api.call("GET", "instances/one"))["output"] == deep


@pytest.mark.parametrize("status", GOING_ON)
async def test_what_goes_on_is_a_202_that_says_where_to_look_again(
    api: ManagementClient, status: Status
) -> None:
    api.put("one", status)
    answer = await api.call("GET", "instances/one?code=k")
    assert (answer.status, content(answer)["runtimeStatus"]) == (202, status.text)
    base = "http://localhost:7071/runtime/webhooks/durabletask"
    assert answer.headers["Location"] == f"{base}/instances/one?code=k"
    assert answer.headers["Retry-After"] == "5"


@pytest.mark.parametrize("status", ENDED)
async def test_what_has_ended_is_a_200(api: ManagementClient, status: Status) -> None:
    api.put("one", status)
    answer = await api.call("GET", "instances/one")
    assert (answer.status, "Location" in answer.headers) == (200, False)


@pytest.mark.parametrize("status", ENDED)
async def test_a_failure_is_a_500_on_request(api: ManagementClient, status: Status) -> None:
    api.put("one", status)
    answer = await api.call("GET", "instances/one?returnInternalServerErrorOnFailure=True")
    assert answer.status == (500 if status == Status.FAILED else 200)
    assert content(answer)["runtimeStatus"] == status.text


async def test_an_unknown_instance_is_a_404_without_a_body(api: ManagementClient) -> None:
    answer = await api.call("GET", "instances/nobody")
    assert (answer.status, answer.text) == (404, None)


@pytest.mark.parametrize(("query", "shown"), [("", 1), ("?showInput=True", 1), ("?SHOWINPUT=false", None)])
async def test_the_input_is_shown_unless_it_is_declined(
    api: ManagementClient, query: str, shown: int | None
) -> None:
    api.put("one", Status.RUNNING, given="1")
    assert content(await api.call("GET", f"instances/one{query}"))["input"] == shown
    assert content(await api.call("GET", f"instances{query}"))[0]["input"] == shown


async def _ids(api: ManagementClient, query: str, token: str = "") -> list[str]:
    answer = await api.call("GET", f"instances/?{query}", headers={"x-ms-continuation-token": token})
    assert answer.status == 200
    return [view["instanceId"] for view in content(answer)]


async def test_a_list_is_filtered_by_time_status_and_prefix(api: ManagementClient) -> None:
    for minute, status in enumerate([Status.RUNNING, Status.COMPLETED, Status.FAILED, Status.PENDING]):
        api.put(f"i{minute}", status, now=NOW + timedelta(minutes=minute))
    api.put("other", Status.RUNNING, now=NOW + timedelta(minutes=9))
    assert await _ids(api, "") == ["i0", "i1", "i2", "i3", "other"]
    assert await _ids(api, "runtimeStatus=Completed,Failed") == ["i1", "i2"]
    assert await _ids(api, "runtimeStatus=Pending&runtimeStatus=Failed") == ["i2", "i3"]
    assert await _ids(api, "instanceIdPrefix=i") == ["i0", "i1", "i2", "i3"]
    assert await _ids(api, "instanceIdPrefix=I") == []
    assert await _ids(api, "createdTimeFrom=2026-01-01T00:02:00.000000Z") == ["i2", "i3", "other"]
    assert await _ids(api, "createdTimeTo=2026-01-01T02:01:00%2B02:00") == ["i0", "i1"]
    assert await _ids(api, "createdtimefrom=2026-01-01T00:01:00&INSTANCEIDPREFIX=i&top=2") == ["i1", "i2"]
    assert await _ids(api, "createdTimeFrom=1-01-01T00:00:00.000000Z&top=1") == ["i0"]


@pytest.mark.derived
@pytest.mark.parametrize(
    "query",
    [
        "createdTimeFrom=yesterday",
        "createdTimeFrom=9999-12-31T23:00:00-14:00",
        "createdTimeTo=0001-01-01T00:00:00%2B14:00",
        "top=many",
        "top=0",
        "top=-1",
        "top=" + "9" * 5000,
        "runtimeStatus=completed",
        "runtimeStatus=Nonsense,",
    ],
)
async def test_a_filter_that_means_nothing_is_ignored_and_named_in_the_log(
    api: ManagementClient, query: str, caplog: pytest.LogCaptureFixture
) -> None:
    api.put("one", Status.RUNNING)
    assert await _ids(api, query) == ["one"]
    assert f"The query's {query.partition('=')[0]} is not understood and is ignored" in caplog.text


async def test_a_list_goes_on_from_its_token(api: ManagementClient) -> None:
    for number in range(5):
        api.put(f"i{number}", Status.RUNNING)  # all of one moment
    found, token = list[str](), ""
    for size in (2, 2, 1):
        answer = await api.call("GET", "instances?top=2", headers={"x-ms-continuation-token": token})
        assert len(content(answer)) == size
        found += [view["instanceId"] for view in content(answer)]
        token = answer.headers["x-ms-continuation-token"]
    assert (found, token) == ([f"i{number}" for number in range(5)], "")


async def test_a_page_has_100_instances_when_nothing_is_said_and_1000_at_most(api: ManagementClient) -> None:
    for number in range(1001):
        api.put(f"i{number:04}", Status.PENDING)
    assert len(await _ids(api, "")) == 100
    assert len(await _ids(api, "top=5000")) == 1000


@pytest.mark.parametrize("token", ["no base 64", "/w=="])
async def test_a_token_of_someone_else_is_refused(api: ManagementClient, token: str) -> None:
    answer = await api.call("GET", "instances", headers={"x-ms-continuation-token": token})
    assert (answer.status, content(answer)["ExceptionType"]) == (400, "System.ArgumentException")


async def test_no_history_is_shown_unless_asked_for_and_none_while_pending(api: ManagementClient) -> None:
    api.put("one", Status.PENDING)
    api.put("two", Status.RUNNING)
    assert "historyEvents" not in content(await api.call("GET", "instances/two"))
    assert content(await api.call("GET", "instances/two?showHistory=True"))["historyEvents"] == []
    view: dict[str, Any] = content(await api.call("GET", "instances/one?showHistory=True"))
    assert "historyEvents" not in view
