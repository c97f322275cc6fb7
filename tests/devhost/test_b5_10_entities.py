"""B5.10, entities: signalled, read and listed over HTTP."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.durable.records import EntityChange, EntityWork
from tests.devhost.management_client import NOW, ManagementClient, content


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ManagementClient]:
    client = ManagementClient(tmp_path, "o", entities=["Counter", "other"])
    yield client
    client.close()


def requests(api: ManagementClient, entity_id: str) -> list[Any]:
    """What waits for an entity."""
    work = api.hub.load_entity(entity_id)
    return [json.loads(text) for text in work.messages] if work else []


def put(api: ManagementClient, entity_id: str, state: str | None, minutes: int = 0) -> None:
    change = EntityChange(exists=True, state=state, updated=NOW + timedelta(minutes=minutes))
    api.hub.commit_entity(EntityWork(entity_id, False, None, [], 0), change)


async def test_a_signal_waits_for_its_entity(api: ManagementClient) -> None:
    answer = await api.call("POST", "entities/COUNTER/Key%201?op=add&taskHub=H", '"5"')
    assert (answer.status, answer.text) == (202, None)
    [request] = requests(api, "@counter@Key 1")
    assert (request["op"], request["signal"], request["input"]) == ("add", True, '"5"')
    assert request["parent"] is None
    assert len(request["id"]) == 36


async def test_a_signal_may_be_without_input_and_without_operation(api: ManagementClient) -> None:
    assert (await api.call("POST", "entities/counter/k")).status == 202
    assert (await api.call("POST", "entities/counter?op=reset")).status == 202
    assert [(r["op"], r["input"]) for r in requests(api, "@counter@k")] == [("", None)]
    assert [r["op"] for r in requests(api, "@counter@")] == ["reset"]


async def test_a_delete_is_the_operation_delete(api: ManagementClient) -> None:
    assert (await api.call("DELETE", "entities/counter/k?op=add")).status == 202
    assert [request["op"] for request in requests(api, "@counter@k")] == ["delete"]


async def test_what_is_not_sent_as_json_is_a_string(api: ManagementClient) -> None:
    headers = {"Content-Type": "text/plain"}
    await api.call("POST", "entities/counter/k?op=say", '{"a": "ü"}', headers)
    [request] = requests(api, "@counter@k")
    assert json.loads(request["input"]) == '{"a": "ü"}'


async def test_an_unknown_entity_cannot_be_signalled(api: ManagementClient) -> None:
    answer = await api.call("POST", "entities/nobody/k?op=add")
    assert answer.status == 400
    assert content(answer) == {
        "Message": "The function 'nobody' doesn't exist, is disabled, or is not an entity function. "
        "Additional info: The following are the known entity functions: 'counter', 'other'."
    }
    assert requests(api, "@nobody@k") == []


@pytest.mark.parametrize("key", ["a%5Cb", "a%23b", "a%3Fb", "a%00b"])
async def test_a_key_that_no_store_takes_is_refused(api: ManagementClient, key: str) -> None:
    answer = await api.call("POST", f"entities/counter/{key}?op=add")
    assert answer.status == 400
    assert content(answer)["Message"].startswith("Entity keys must not contain")


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ("{", {}, "Could not parse JSON content: "),
        ("[" * 100_000, {}, "Could not parse JSON content: "),
        (b'"\xff"', {}, "One or more of the arguments"),
        (b"1", {"Content-Length": "104857601"}, "One or more of the arguments"),
    ],
)
async def test_an_input_that_cannot_be_read_is_refused(
    api: ManagementClient, body: str | bytes, headers: dict[str, str], reason: str
) -> None:
    answer = await api.call("POST", "entities/counter/k?op=add", body, headers)
    assert answer.status == 400
    assert content(answer)["Message"].startswith(reason)
    assert requests(api, "@counter@k") == []


@pytest.mark.parametrize("state", ["5", '"text"', '{"a": [1]}', "null", None])
async def test_the_state_of_an_entity_is_its_raw_json(api: ManagementClient, state: str | None) -> None:
    put(api, "@counter@k", state)
    answer = await api.call("GET", "entities/Counter/k")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert content(answer) == json.loads(state or "null")


async def test_what_does_not_exist_is_a_404_without_a_body(api: ManagementClient) -> None:
    for path in ("entities/counter/k", "entities/nobody/k"):
        answer = await api.call("GET", path)
        assert (answer.status, answer.text) == (404, None)


@pytest.mark.derived
async def test_a_dollar_sign_reads_the_empty_key(api: ManagementClient) -> None:
    put(api, "@counter@", "1")
    assert content(await api.call("GET", "entities/counter/$")) == 1


async def test_entities_are_listed_with_their_states_on_request(api: ManagementClient) -> None:
    put(api, "@counter@a", "1")
    put(api, "@counter@b@c", '{"x": 1}', minutes=1)
    put(api, "@other@a", "3", minutes=2)
    moment = "2026-01-01T00:0{}:00.0000000Z"
    assert content(await api.call("GET", "entities/COUNTER?fetchState=true")) == [
        {"entityId": {"name": "counter", "key": "a"}, "lastOperationTime": moment.format(0), "state": 1},
        {
            "entityId": {"name": "counter", "key": "b@c"},
            "lastOperationTime": moment.format(1),
            "state": {"x": 1},
        },
    ]
    every = content(await api.call("GET", "entities/"))
    assert [view["entityId"]["name"] for view in every] == ["counter", "counter", "other"]
    assert [view["state"] for view in every] == [None, None, None]
    late = content(await api.call("GET", "entities?lastOperationTimeFrom=2026-01-01T00:01:00Z"))
    assert [view["entityId"]["key"] for view in late] == ["b@c", "a"]
    early = content(await api.call("GET", "entities?lastOperationTimeTo=2026-01-01T00:01:00Z"))
    assert [view["entityId"]["key"] for view in early] == ["a", "b@c"]


async def test_a_list_goes_on_from_its_token(api: ManagementClient) -> None:
    for number in range(5):
        put(api, f"@counter@{number}", "1")
    found, token = list[str](), ""
    for size in (2, 2, 1):
        answer = await api.call("GET", "entities?top=2", headers={"x-ms-continuation-token": token})
        assert len(content(answer)) == size
        found += [view["entityId"]["key"] for view in content(answer)]
        token = answer.headers["x-ms-continuation-token"]
    assert (found, token) == (["0", "1", "2", "3", "4"], "")
    refused = await api.call("GET", "entities", headers={"x-ms-continuation-token": "no base 64"})
    assert refused.status == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "entities/counter/k"), ("POST", "entities/counter/k/add"), ("GET", "entities/counter/k/add")],
)
async def test_what_is_no_endpoint_is_a_404(api: ManagementClient, method: str, path: str) -> None:
    assert (await api.call(method, path)).status == 404


async def test_a_signal_to_nobody_is_a_400(api: ManagementClient) -> None:
    assert (await api.call("POST", "entities?op=add")).status == 400
