"""B5.10, starting: `POST orchestrators/…`, with and without a wait."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from devhost.durable.history import Status
from tests.devhost.management_client import ManagementClient, content

BAD_ARGUMENT = "One or more of the arguments submitted is incorrect"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ManagementClient]:
    client = ManagementClient(tmp_path, "o", "Second")
    yield client
    client.close()


async def test_a_start_answers_with_the_management_payload(api: ManagementClient) -> None:
    answer = await api.call("POST", "orchestrators/o/one", '"{\\"a\\": 1}"')
    links = content(answer)
    base = "http://localhost:7071/runtime/webhooks/durabletask/instances/one"
    query = "taskHub=Hub&connection=Storage&code=devhost"
    assert (answer.status, answer.content_type) == (202, "application/json")
    assert links == {
        "id": "one",
        "statusQueryGetUri": f"{base}?{query}",
        "sendEventPostUri": f"{base}/raiseEvent/{{eventName}}?{query}",
        "terminatePostUri": f"{base}/terminate?reason={{text}}&{query}",
        "purgeHistoryDeleteUri": f"{base}?{query}",
        "restartPostUri": f"{base}/restart?{query}",
        "suspendPostUri": f"{base}/suspend?reason={{text}}&{query}",
        "resumePostUri": f"{base}/resume?reason={{text}}&{query}",
    }
    assert answer.headers["Location"] == links["statusQueryGetUri"]
    assert answer.headers["Retry-After"] == "10"
    instance = api.hub.instance("one")
    assert instance is not None
    assert (instance.name, instance.status, instance.input_text) == ("o", Status.PENDING, '"{\\"a\\": 1}"')


async def test_links_have_the_origin_that_the_request_was_sent_to(api: ManagementClient) -> None:
    answer = await api.call("POST", "orchestrators/o/one", headers={"Host": "127.0.0.1:9"})
    assert content(answer)["statusQueryGetUri"].startswith("http://127.0.0.1:9/runtime/webhooks/durabletask/")


@pytest.mark.derived
@pytest.mark.parametrize(
    ("uses_it", "sent", "origin"),
    [
        (True, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}, "https://a.example/"),
        (True, {"X-Forwarded-Host": "a.example"}, "http://localhost:7071/"),
        (False, {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "a.example"}, "http://localhost:7071/"),
    ],
)
async def test_the_origin_that_a_proxy_names_counts_where_host_json_says_so(
    tmp_path: Path, uses_it: bool, sent: dict[str, str], origin: str
) -> None:
    api = ManagementClient(tmp_path, "o", uses_forwarded_host=uses_it)
    answer = await api.call("POST", "orchestrators/o/one", headers=sent)
    assert content(answer)["statusQueryGetUri"].startswith(origin)
    api.close()


async def test_without_an_id_one_of_32_hex_digits_is_made(api: ManagementClient) -> None:
    made = {content(await api.call("POST", "orchestrators/o"))["id"] for _ in range(3)}
    assert len(made) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", instance_id) for instance_id in made)


async def test_a_function_is_found_in_any_case_and_shown_as_it_was_called(api: ManagementClient) -> None:
    assert (await api.call("POST", "ORCHESTRATORS/sECOND/x")).status == 202
    assert content(await api.call("GET", "Instances/x"))["name"] == "sECOND"


async def test_an_unknown_function_is_named_with_those_that_there_are(api: ManagementClient) -> None:
    answer = await api.call("POST", "orchestrators/nobody/x", "1")
    assert answer.status == 400
    assert content(answer) == {
        "Message": BAD_ARGUMENT,
        "ExceptionMessage": "The function 'nobody' doesn't exist, is disabled, or is not an orchestrator "
        "function. Additional info: The following are the known orchestrator functions: 'o', 'Second'.",
        "ExceptionType": "System.ArgumentException",
        "StackTrace": "",
    }


@pytest.mark.derived
async def test_an_app_without_orchestrators_is_told_so(tmp_path: Path) -> None:
    api = ManagementClient(tmp_path)
    reason = content(await api.call("POST", "orchestrators/o"))["ExceptionMessage"]
    assert reason.endswith("Additional info: No orchestrator functions are currently registered!")
    api.close()


@pytest.mark.parametrize(
    ("instance_id", "reason"),
    [
        ("@me", "Orchestration instance ids must not start with @."),
        ("a\\b", "Orchestration instance ids must not contain /, \\, #, ?, or control characters."),
        ("a#b", "Orchestration instance ids must not contain /, \\, #, ?, or control characters."),
        ("a?b", "Orchestration instance ids must not contain /, \\, #, ?, or control characters."),
        ("a\nb", "Orchestration instance ids must not contain /, \\, #, ?, or control characters."),
        ("a\x85b", "Orchestration instance ids must not contain /, \\, #, ?, or control characters."),
        ("x" * 257, "Instance ID lengths must not exceed 256 characters."),
        ("😀" * 129, "Instance ID lengths must not exceed 256 characters."),
    ],
)
async def test_an_id_that_no_store_takes_is_refused(
    api: ManagementClient, instance_id: str, reason: str
) -> None:
    answer = await api.call("POST", f"orchestrators/o/{quote(instance_id)}")
    assert (answer.status, content(answer)["Message"]) == (400, BAD_ARGUMENT)
    assert content(answer)["ExceptionMessage"] == reason
    assert api.hub.instances() == []


@pytest.mark.parametrize(
    "instance_id", ["x" * 256, "😀" * 128, "50% of a b+c;é", "~'\"<>&=", "..", "INSTANCES"]
)
async def test_links_lead_back_to_an_instance_with_any_other_id(
    api: ManagementClient, instance_id: str
) -> None:
    links = content(await api.call("POST", f"orchestrators/o/{quote(instance_id)}"))
    assert links["id"] == instance_id
    path = links["statusQueryGetUri"].partition("/durabletask/")[2]
    assert content(await api.call("GET", path))["instanceId"] == instance_id


@pytest.mark.derived
async def test_a_slash_in_an_id_is_one_of_the_path_however_it_is_written(api: ManagementClient) -> None:
    assert (await api.call("POST", "orchestrators/o/a%2Fb")).status == 404
    await api.call("POST", "orchestrators/o/a+b")
    assert content(await api.call("GET", "instances/a%20b"))["instanceId"] == "a b"


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.SUSPENDED])
async def test_an_active_instance_of_the_same_id_is_a_500(api: ManagementClient, status: Status) -> None:
    api.put("one", status)
    answer = await api.call("POST", "orchestrators/o/one")
    assert answer.status == 500
    assert content(answer) == {
        "Message": "Something went wrong while processing your request",
        "ExceptionMessage": f"An Orchestration instance with the status {status.text} already exists.",
        "ExceptionType": "System.InvalidOperationException",
        "StackTrace": "",
    }


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.TERMINATED, Status.CANCELED])
async def test_an_ended_instance_of_the_same_id_is_overwritten(api: ManagementClient, status: Status) -> None:
    api.put("one", status, output='"old"')
    assert (await api.call("POST", "orchestrators/Second/one", "2")).status == 202
    view = content(await api.call("GET", "instances/one"))
    assert (view["name"], view["runtimeStatus"], view["input"], view["output"]) == (
        "Second",
        "Pending",
        2,
        None,
    )


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ("{", {}),
        ("not JSON", {"Content-Type": "text/plain"}),
        ("[" * 65 + "]" * 65, {}),
        ("[" * 100_000, {}),
    ],
)
async def test_a_body_that_is_no_json_is_refused(
    api: ManagementClient, body: str, headers: dict[str, str]
) -> None:
    answer = await api.call("POST", "orchestrators/o/one", body, headers)
    assert (answer.status, content(answer)["Message"]) == (400, "Invalid JSON content")
    assert content(answer)["StackTrace"] == ""
    assert api.hub.instance("one") is None


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'"\xff"', {}),
        (b"1", {"Content-Type": "application/json; charset=nonsense"}),
        (b"1", {"Content-Length": "104857601"}),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    api: ManagementClient, body: bytes, headers: dict[str, str]
) -> None:
    answer = await api.call("POST", "orchestrators/o/one", body, headers)
    assert (answer.status, content(answer)["Message"]) == (400, BAD_ARGUMENT)
    assert api.hub.instance("one") is None


async def test_json_may_be_nested_64_levels_deep(api: ManagementClient) -> None:
    body = "[" * 64 + "]" * 64
    assert (await api.call("POST", "orchestrators/o/one", body)).status == 202
    assert content(await api.call("GET", "instances/one"))["input"] == json.loads(body)


async def _end(api: ManagementClient, status: Status, output: str) -> None:
    """End the instance as a host would that runs it, once it is there."""
    for _ in range(100):
        await asyncio.sleep(0.01)
        episode = api.hub.load_episode("one")
        if episode is not None:
            return api.end(episode, status, output)
    raise AssertionError("it was not started")


async def test_a_start_that_waits_answers_with_the_output(api: ManagementClient) -> None:
    path = "orchestrators/o/one?timeout=20&pollingInterval=0.01"
    answer, _ = await asyncio.gather(api.call("POST", path), _end(api, Status.COMPLETED, '{"sum": 3}'))
    assert (answer.status, content(answer)) == (200, {"sum": 3})


@pytest.mark.parametrize("status", [Status.FAILED, Status.TERMINATED])
async def test_a_start_that_waits_answers_with_the_status_of_what_ended_otherwise(
    api: ManagementClient, status: Status
) -> None:
    path = "orchestrators/o/one?timeout=20&pollingInterval=0.01"
    answer, _ = await asyncio.gather(api.call("POST", path), _end(api, status, "why"))
    assert (answer.status, content(answer)["runtimeStatus"]) == (200, status.text)
    assert content(answer)["output"] == "why"


async def test_a_start_that_waits_in_vain_answers_like_one_that_does_not(api: ManagementClient) -> None:
    answer = await api.call("POST", "orchestrators/o/one?timeout=0.05&pollingInterval=0.01")
    assert (answer.status, content(answer)["id"]) == (202, "one")
    assert answer.headers["Retry-After"] == "10"


@pytest.mark.parametrize("query", ["timeout=5", "pollingInterval=5", "timeout=soon&pollingInterval=often"])
async def test_a_start_waits_only_when_both_figures_are_given(api: ManagementClient, query: str) -> None:
    async with asyncio.timeout(2):
        answer = await api.call("POST", f"orchestrators/o/one?{query}")
    assert answer.status == 202


@pytest.mark.derived
async def test_a_look_less_often_than_the_whole_wait_is_refused(api: ManagementClient) -> None:
    answer = await api.call("POST", "orchestrators/o/one?timeout=1&pollingInterval=2")
    assert answer.status == 400
    assert content(answer)["ExceptionMessage"] == "Total timeout 1 should be bigger than retry timeout 2"


async def test_a_start_that_waits_is_answered_when_the_host_stops(api: ManagementClient) -> None:
    path = "orchestrators/o/one?timeout=60&pollingInterval=30"
    began = time.monotonic()
    async with asyncio.timeout(5):
        waiting = asyncio.create_task(api.call("POST", path))
        while api.hub.instance("one") is None:  # noqa: ASYNC110 (the hub tells nobody)
            await asyncio.sleep(0.01)
        api.api.close()
        answer = await waiting
    assert time.monotonic() - began < 5
    assert (answer.status, content(answer)["id"]) == (202, "one")
