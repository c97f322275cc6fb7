"""Durable Functions through the whole host: the management API, the SDK's client, and kill -9."""

import json
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until


def test_the_sdks_client_starts_an_instance_and_links_to_its_status(everything: DevhostProcess) -> None:
    answer = everything.call("POST", "/api/start/chain?id=by-client", "4")
    assert answer.status == 202
    assert answer.json()["id"] == "by-client"
    assert answer.headers["location"].startswith(
        f"http://127.0.0.1:{everything.port}/runtime/webhooks/durabletask/"
    )
    status = everything.ended("by-client")
    assert (status["runtimeStatus"], status["output"], status["name"]) == ("Completed", 6, "chain")
    assert everything.status("by-client", "?showInput=True")["input"] == "4"


def test_starting_answers_with_links_or_says_why_not(everything: DevhostProcess) -> None:
    answer = everything.start("waits", "only-one")
    links = answer.json()
    assert (answer.status, answer.headers["retry-after"]) == (202, "10")
    assert "terminatePostUri" in links
    assert "rewindPostUri" not in links
    twice = everything.start("waits", "only-one")
    assert twice.status == 500
    assert "An Orchestration instance with the status" in twice.json()["ExceptionMessage"]
    unknown = everything.start("nobody", "x")
    assert unknown.status == 400
    assert "The function 'nobody' doesn't exist" in unknown.json()["ExceptionMessage"]
    assert everything.start("waits", "%40leading").status == 400
    assert everything.start("waits", "a%2Fb").status == 400
    assert everything.durable("POST", "orchestrators/waits/bad-json", "{").status == 400
    generated = everything.durable("POST", "orchestrators/WAITS").json()["id"]
    assert len(generated) == 32


def test_retries_fan_out_and_failures_end_as_they_should(everything: DevhostProcess) -> None:
    for name in ("retries", "fan", "fails_itself", "unknown_activity", "with_child"):
        everything.start(name, f"end-{name}")
    assert (
        everything.ended("end-retries")["output"]["error"]
        == "Activity function 'boom' failed:  ValueError: boom x "
    )
    assert everything.ended("end-fan")["output"] == 20
    gave_up = everything.ended("end-fails_itself")
    assert gave_up["output"] == "Orchestrator function 'fails_itself' failed: the orchestrator gave up"
    path = "instances/end-fails_itself?returnInternalServerErrorOnFailure=true"
    assert everything.durable("GET", path).status == 500
    assert "'not_there' doesn't exist" in everything.ended("end-unknown_activity")["output"]
    assert "CALL_SUB_ORCHESTRATOR" in everything.ended("end-with_child")["output"]


def test_an_event_ends_a_wait_and_cancels_its_timer(everything: DevhostProcess) -> None:
    everything.start("approval", "approved", 3600)
    until(lambda: everything.status("approved")["customStatus"] == "waiting")
    running = everything.durable("GET", "instances/approved")
    assert (running.status, running.headers["retry-after"]) == (202, "5")
    assert everything.call("POST", "/durabletask/instances/approved/raiseEvent/approve", "1").status == 400
    assert everything.durable("POST", "instances/approved/raiseEvent/approve", "{").status == 400
    assert everything.durable("POST", "instances/approved/raiseEvent/approve", '{"by": "me"}').status == 202
    assert everything.ended("approved")["output"] == {"approved": {"by": "me"}, "done": 2}
    assert everything.durable("POST", "instances/approved/raiseEvent/approve", "1").status == 410
    assert everything.durable("POST", "instances/unknown/raiseEvent/approve", "1").status == 404


def test_a_timer_fires_when_no_event_comes(everything: DevhostProcess) -> None:
    everything.start("approval", "too-late", 1)
    assert everything.ended("too-late")["output"] == "timed out"


def test_continue_as_new_goes_on_with_its_input(everything: DevhostProcess) -> None:
    everything.start("counter", "counting")
    for number in range(3):
        assert everything.durable("POST", "instances/counting/raiseEvent/next", str(number)).status == 202
        _wait_for_round(everything, number + 1)
    assert everything.ended("counting")["output"] == [0, 1, 2]


def _wait_for_round(host: DevhostProcess, rounds: int) -> None:
    until(lambda: _input_length(host, "counting") >= rounds)


def _input_length(host: DevhostProcess, instance_id: str) -> int:
    status = host.status(instance_id, "?showInput=true")
    return 9 if status["runtimeStatus"] == "Completed" else len(json.loads(status["input"] or "[]"))


def test_terminate_list_and_purge(everything: DevhostProcess) -> None:
    for number in range(3):
        everything.start("waits", f"listed-{number}")
    assert everything.durable("DELETE", "instances/listed-0").status == 404
    assert everything.durable("POST", "instances/listed-0/terminate?reason=enough").status == 202
    status = everything.ended("listed-0")
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "enough")
    assert everything.durable("POST", "instances/listed-0/terminate?reason=x").status == 410
    listed = everything.durable("GET", "instances?instanceIdPrefix=listed-&runtimeStatus=Running,Pending")
    assert [instance["instanceId"] for instance in listed.json()] == ["listed-1", "listed-2"]
    assert everything.durable("DELETE", "instances/listed-0").json() == {"instancesDeleted": 1}
    assert everything.durable("GET", "instances/listed-0").status == 404
    assert everything.durable("DELETE", "instances").status == 400
    assert everything.durable("DELETE", "instances?createdTimeFrom=2090-01-01T00:00:00Z").status == 404
    everything.durable("POST", "instances/listed-1/terminate?reason=x")
    everything.ended("listed-1")
    path = "instances/?createdTimeFrom=2020-01-01T00:00:00.000000Z&runtimeStatus=Terminated"
    assert everything.durable("DELETE", path).json() == {"instancesDeleted": 1}


def test_the_history_shows_what_was_scheduled_and_when(everything: DevhostProcess) -> None:
    everything.start("chain", "with-history", 1)
    everything.ended("with-history")
    events = everything.status("with-history", "?showHistory=true&showHistoryOutput=true")["historyEvents"]
    assert [item["EventType"] for item in events] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert events[1]["FunctionName"] == "add"
    assert events[1]["ScheduledTime"] <= events[1]["Timestamp"]
    assert (events[2]["OrchestrationStatus"], events[2]["Result"]) == ("Completed", 0)


@pytest.mark.parametrize("operation", ["suspend?reason=x", "resume?reason=x", "rewind?reason=x", "restart"])
def test_what_is_not_there_yet_says_so(everything: DevhostProcess, operation: str) -> None:
    answer = everything.durable("POST", f"instances/any/{operation}")
    assert answer.status == 501
    assert "devhost does not have this yet" in answer.json()["Message"]
    assert everything.durable("GET", "entities/counter/k").status == 501


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("orchestrators/waits/bad", b'"\xff"', {}),
        ("orchestrators/waits/bad", b"1", {"Content-Type": "application/json; charset=nonsense"}),
        ("orchestrators/waits/bad", b"[" * 100_000, {}),
        ("instances/bad-input/raiseEvent/x", b'"\xff"', {"Content-Type": "application/json"}),
        ("instances/bad-input/raiseEvent/x", b"[" * 100_000, {"Content-Type": "application/json"}),
        ("instances/bad-input/raiseEvent/x", b"", {"Content-Type": "application/json"}),
    ],
)
def test_a_body_that_cannot_be_read_is_answered_with_400(
    everything: DevhostProcess, path: str, body: bytes, headers: dict[str, str]
) -> None:
    everything.start("waits", "bad-input")
    answer = everything.call("POST", f"/runtime/webhooks/durabletask/{path}", body, headers)
    assert answer.status == 400
    assert answer.json()["ExceptionType"] == "System.ArgumentException"


@pytest.mark.parametrize(
    ("query", "token"),
    [
        ("createdTimeFrom=0001-01-01T00:00:00%2B14:00", ""),
        ("createdTimeFrom=9999-12-31T23:00:00-14:00", ""),
        ("top=many", ""),
        ("", "no base 64"),
        ("", "/w=="),
    ],
)
def test_a_filter_that_cannot_be_read_is_answered_with_400(
    everything: DevhostProcess, query: str, token: str
) -> None:
    path = f"/runtime/webhooks/durabletask/instances?{query}"
    answer = everything.call("GET", path, headers={"x-ms-continuation-token": token})
    assert answer.status == 400
    assert answer.json()["Message"] == "One or more of the arguments submitted is incorrect"


def test_a_list_goes_on_from_its_token(everything: DevhostProcess) -> None:
    for number in range(5):
        everything.start("waits", f"paged-{number}")
    found, token = list[str](), ""
    for size in (2, 2, 1):
        path = "/runtime/webhooks/durabletask/instances?instanceIdPrefix=paged-&top=2"
        answer = everything.call("GET", path, headers={"x-ms-continuation-token": token})
        assert len(answer.json()) == size
        found += [instance["instanceId"] for instance in answer.json()]
        token = answer.headers["x-ms-continuation-token"]
    assert (found, token) == ([f"paged-{number}" for number in range(5)], "")


def test_links_lead_to_an_instance_whose_id_has_odd_characters(everything: DevhostProcess) -> None:
    instance_id = "50% of a b+c;é"
    links = everything.start("waits", quote(instance_id)).json()
    assert links["id"] == instance_id
    path = links["statusQueryGetUri"].partition(str(everything.port))[2]
    assert everything.call("GET", path).json()["instanceId"] == instance_id
    terminate = links["terminatePostUri"].partition(str(everything.port))[2]
    assert everything.call("POST", terminate.replace("{text}", "x")).status == 202
    assert everything.ended(quote(instance_id))["runtimeStatus"] == "Terminated"


def result_of(number: int) -> dict[str, Any]:
    total = 1 + number % 3 + sum(number + step for step in range(4))
    return {"go": number, "sum": 3 * total + 3}


def test_kill_9_loses_nothing(start_host: StartHost) -> None:
    chance = random.Random(20260101)  # noqa: S311 (a test's own)
    names = ("--functions", "mixed", "add", "fail_until")
    host = start_host(arguments=("start", *names)).wait_until_up()
    numbers = list(range(12))
    for number in numbers:
        assert host.start("mixed", f"kill-{number}", number).status == 202
    unsent = numbers.copy()
    chance.shuffle(unsent)
    for _ in range(5):
        deadline = time.monotonic() + chance.uniform(0.02, 0.5)
        while time.monotonic() < deadline:
            if unsent and chance.random() < 0.3:
                path = f"instances/kill-{unsent[-1]}/raiseEvent/go"
                assert host.durable("POST", path, str(unsent[-1])).status == 202
                unsent.pop()
        host.kill()
        host = start_host(arguments=("start", *names)).wait_until_up()
    for number in unsent:
        assert host.durable("POST", f"instances/kill-{number}/raiseEvent/go", str(number)).status == 202
    for number in numbers:
        status = host.ended(f"kill-{number}", seconds=30)
        assert (status["runtimeStatus"], status["output"]) == ("Completed", result_of(number))


def test_a_stop_lets_what_runs_end_and_a_restart_goes_on(start_host: StartHost) -> None:
    names = ("--functions", "approval", "add", "slow")
    host = start_host(arguments=("start", *names)).wait_until_up()
    host.start("approval", "over-a-restart", 2)
    until(lambda: host.status("over-a-restart")["customStatus"] == "waiting")
    assert host.stop() == 0
    assert "Stopped." in host.log
    host = start_host(arguments=("start", *names)).wait_until_up()
    assert host.ended("over-a-restart")["output"] == "timed out"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_request_under_way_is_answered_before_the_host_ends(start_host: StartHost, number: int) -> None:
    host = start_host(arguments=("start", "--functions", "slow")).wait_until_up()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(host.call, "GET", "/api/slow?seconds=1")
        until(lambda: "Executing 'Functions.slow'" in host.log)
        assert host.stop(number) == 0
        assert answer.result(5).text == "done at last"
