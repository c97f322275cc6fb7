"""Durable Functions through the whole host: the management API, the SDK's client, and kill -9."""

import json
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
    assert everything.ended("end-with_child")["output"] == 6


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
