"""Every fault does on the wire what its script says."""

import asyncio
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from testconnector.answers import ERRORS
from testconnector.effects import FaultError
from testconnector.faults import Faults
from testconnector.server import ScriptedConnector
from tests.testconnector.conftest import CHAT, Client


def in_script(connector: ScriptedConnector, effect: dict[str, Any], **match: Any) -> None:
    connector.faults.add({"match": match, "effect": effect})


@pytest.mark.parametrize("name", sorted(ERRORS))
async def test_each_error_has_its_status_and_its_code_and_is_not_accepted(
    connector: ScriptedConnector, client: Client, name: str
) -> None:
    in_script(connector, {"error": name})
    status, body, _ = await client.send("hello")
    assert status == ERRORS[name][0]
    assert name in body["error"]["code"] + body["error"]["message"]
    assert not connector.calls[0].accepted
    assert connector.texts == []


async def test_blocked_writes_are_told_as_json_in_the_message(
    connector: ScriptedConnector, client: Client
) -> None:
    in_script(connector, {"error": "MessageWritesBlocked"})
    _, body, _ = await client.send("hello")
    nested = json.loads(body["error"]["message"])
    assert (nested["subCode"], nested["errorCode"]) == ("MessageWritesBlocked", 209)


@pytest.mark.parametrize(("given", "told"), [(3, "3"), (0.5, "0.5"), ("soon", "soon")])
async def test_a_busy_channel_says_for_how_long_as_scripted(
    connector: ScriptedConnector, client: Client, given: Any, told: str
) -> None:
    in_script(connector, {"error": "Throttled", "retry_after": given})
    status, _, headers = await client.send("hello")
    assert (status, headers["Retry-After"]) == (429, told)


async def test_a_busy_channel_says_until_when_or_nothing(
    connector: ScriptedConnector, client: Client
) -> None:
    connector.faults.next_answers({"error": "Throttled", "retry_after_date": 90}, {"error": "Throttled"})
    _, _, headers = await client.send("hello")
    wait = parsedate_to_datetime(headers["Retry-After"]) - datetime.now(UTC)
    assert 60 < wait.total_seconds() <= 90
    _, _, headers = await client.send("hello")
    assert "Retry-After" not in headers


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("accepted", [False, True])
async def test_a_server_error_comes_instead_of_the_effect_or_after_it(
    connector: ScriptedConnector, client: Client, status: int, accepted: bool
) -> None:
    in_script(connector, {"status": status, "accepted": accepted})
    assert (await client.send("hello"))[0] == status
    call = connector.calls[0]
    assert (call.status, call.accepted, call.activity_id is not None) == (status, accepted, accepted)
    assert connector.texts == (["hello"] if accepted else [])


async def test_a_success_may_tell_no_id(connector: ScriptedConnector, client: Client) -> None:
    connector.faults.next_answers({"status": 202}, {"status": 201, "body": {}})
    assert (await client.send("one"))[:2] == (202, b"")
    assert (await client.send("two"))[:2] == (201, {})
    assert connector.texts == ["one", "two"]


async def test_a_redirect_and_a_page_of_html(connector: ScriptedConnector, client: Client) -> None:
    connector.faults.next_answers(
        {"status": 307, "location": "http://127.0.0.1:9/"}, {"status": 503, "body": "<html>"}
    )
    status, _, headers = await client.send("hello")
    assert (status, headers["Location"]) == (307, "http://127.0.0.1:9/")
    status, body, headers = await client.send("hello")
    assert (status, body, headers["Content-Type"].split(";")[0]) == (503, b"<html>", "text/html")
    assert connector.texts == []


@pytest.mark.parametrize(
    ("when", "accepted"), [("before", []), ("after", ["hello"]), ("mid-body", ["hello"])]
)
async def test_a_cut_connection_leaves_it_open_whether_the_message_came(
    connector: ScriptedConnector, client: Client, when: str, accepted: list[str]
) -> None:
    in_script(connector, {"cut": when})
    with pytest.raises(aiohttp.ClientError):
        await client.send("hello")
    assert connector.texts == accepted
    assert connector.calls[0].status == (201 if when == "mid-body" else None)
    connector.faults.clear()
    assert (await client.send("again"))[0] == 201


@pytest.mark.parametrize(("effect", "texts"), [({"delay": 0.2}, []), ({"delay_after": 0.2}, ["hello"])])
async def test_a_slow_answer_comes_late_and_takes_effect_before_or_after_the_delay(
    connector: ScriptedConnector, client: Client, effect: dict[str, float], texts: list[str]
) -> None:
    in_script(connector, effect)
    arrived = asyncio.create_task(connector.recording.next_call(lambda call: call.operation == "send"))
    sending = asyncio.create_task(client.send("hello"))
    await arrived
    await asyncio.sleep(0)
    assert not sending.done()
    assert connector.texts == texts
    assert (await sending)[0] == 201
    assert connector.texts == ["hello"]


@pytest.mark.parametrize(("when", "accepted"), [("before", False), ("after", True)])
async def test_what_is_held_is_never_answered_and_is_cut_when_the_rule_goes(
    connector: ScriptedConnector, client: Client, when: str, accepted: bool
) -> None:
    in_script(connector, {"hold": when})
    arrived = asyncio.create_task(connector.recording.next_call(lambda call: call.operation == "send"))
    sending = asyncio.create_task(client.send("hello"))
    await arrived
    connector.faults.clear()
    with pytest.raises(aiohttp.ClientError):
        await sending
    assert connector.calls[0].accepted is accepted


@pytest.mark.parametrize(
    ("match", "hit"),
    [
        ({"method": "put"}, ["update"]),
        ({"path": "activities/in-1$"}, ["reply"]),
        ({"conversation": "a:1other"}, ["send"]),
        ({"operation": ["delete", "update"]}, ["update", "delete"]),
        ({"operation": "create"}, ["create"]),
        ({"operation": "members"}, ["members"]),
        ({"text": "^reply"}, ["reply"]),
        ({"nth": 2}, ["reply"]),
        ({"every": 3}, ["update", "members"]),
        ({"operation": "pagedmembers"}, []),
    ],
)
async def test_a_rule_hits_what_it_matches_and_nothing_else(
    connector: ScriptedConnector, client: Client, match: dict[str, Any], hit: list[str]
) -> None:
    in_script(connector, {"status": 503}, **match)
    await client.send("send", "a:1other")
    await client.call("POST", f"/{CHAT}/activities/in-1", {"type": "message", "text": "reply"})
    await client.call("PUT", f"/{CHAT}/activities/7", {"type": "message", "text": "update"})
    await client.call("DELETE", f"/{CHAT}/activities/7")
    await client.call("POST", "", {"members": [{"id": "u"}]})
    await client.call("GET", f"/{CHAT}/members")
    assert [call.operation for call in connector.calls if call.status == 503] == hit


async def test_a_rule_fires_as_often_as_it_may_and_the_next_one_takes_over(
    connector: ScriptedConnector, client: Client
) -> None:
    connector.faults.add({"effect": {"status": 503}, "times": 2})
    connector.faults.add({"effect": {"status": 412}, "times": 1})
    assert [(await client.send("x"))[0] for _ in range(4)] == [503, 503, 412, 201]


async def test_a_seed_makes_chance_the_same_each_time(connector: ScriptedConnector, client: Client) -> None:
    rule = {"match": {"probability": 0.5, "seed": 7}, "effect": {"status": 503}}
    runs = []
    for _ in range(2):
        connector.faults.replace([rule])
        runs.append([(await client.send("x"))[0] for _ in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {201, 503}


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"effect": {"error": "NoSuchError"}},
        {"effect": {"status": 42}},
        {"effect": {"cut": "sometimes"}},
        {"effect": {"delay": -1}},
        {"effect": {"accepted": "yes"}},
        {"effect": {"headers": "no"}},
        {"effect": {"stauts": 503}},
        {"effect": {}, "match": {"operation": "sned"}},
        {"effect": {}, "match": {"path": "("}},
        {"effect": {}, "match": {"probability": 2}},
        {"effect": {}, "match": {"nth": 0}},
        {"effect": {}, "match": {"method": 7}},
        {"effect": {}, "times": 0},
        [],
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(rule: Any) -> None:
    with pytest.raises(FaultError):
        Faults([rule])


async def test_faults_are_scripted_over_http(connector: ScriptedConnector, client: Client) -> None:
    rule = {"match": {"operation": "send"}, "effect": {"status": 503}, "times": 1}
    status, added, _ = await client.ask("POST", "/_faults", rule)
    assert (status, added[0]["number"]) == (201, 1)
    assert (await client.send("x"))[0] == 503
    _, shown, _ = await client.ask("GET", "/_faults")
    assert shown == [{**rule, "number": 1, "seen": 1, "fired": 1}]
    assert (await client.ask("PUT", "/_faults", [{"effect": {"error": "no such"}}]))[0] == 400
    assert len((await client.ask("GET", "/_faults"))[1]) == 1
    assert (await client.ask("PUT", "/_faults", [rule, rule]))[0] == 200
    assert len((await client.ask("DELETE", "/_faults?number=2"))[1]) == 1
    assert (await client.ask("DELETE", "/_faults"))[1] == []
    assert (await client.send("x"))[0] == 201
