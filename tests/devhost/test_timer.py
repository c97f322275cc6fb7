"""Timer triggers: what is kept over a restart, and what is caught up. Time is stepped."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest

from devhost.durable.task_hub import TaskHub
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker
from devhost.timer.timer_listener import TimerListener
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until

START = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)


class Timer:
    """One timer function on a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.hub = TaskHub(path)
        self.now = START
        self.requests: list[Any] = []
        self.fails = False

    def listener(self, schedule: str = "0 */5 * * * *", **properties: Any) -> TimerListener:
        def tick(timer: func.TimerRequest) -> None:
            self.requests.append(timer)
            if self.fails:
                raise ValueError("tick")

        trigger = Binding(
            "timer", "timerTrigger", "IN", {"schedule": schedule, "useMonitor": True, **properties}
        )
        signature = read_signature("tick", tick, [trigger])
        function = FunctionDefinition("tick", tick, trigger, (trigger,), signature, is_async=False)
        return TimerListener(function, Invoker("/", None), self.hub, lambda: self.now)

    @property
    def status(self) -> Any:
        return json.loads(self.hub.timer_trigger_status("tick") or "null")


@pytest.fixture
def timer(tmp_path: Path) -> Iterator[Timer]:
    made = Timer(tmp_path / "hub.sqlite")
    yield made
    made.hub.close()


async def test_a_first_start_writes_the_status_and_runs_nothing(timer: Timer) -> None:
    assert not timer.listener().take_up()
    assert timer.status["Last"].startswith("0001-01-01")
    assert timer.status["Next"] == "2026-01-01T00:05:00.0000000Z"


async def test_missed_runs_are_caught_up_once_and_are_past_due(timer: Timer) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    listener = timer.listener()
    assert listener.take_up()
    await listener.run(is_past_due=True)
    (request,) = timer.requests
    assert request.past_due
    assert request.schedule_status["Next"] == "2026-01-01T00:05:00.0000000Z"
    assert timer.status["Next"] == "2026-01-01T01:05:00.0000000Z"
    assert not timer.listener().take_up()


async def test_a_failed_run_moves_the_schedule_on(timer: Timer) -> None:
    listener = timer.listener()
    listener.take_up()
    timer.fails = True
    timer.now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    await listener.run(is_past_due=False)
    assert not timer.requests[0].past_due
    assert timer.status["Next"] == "2026-01-01T00:10:00.0000000Z"


async def test_a_run_a_little_early_is_not_made_twice(timer: Timer) -> None:
    listener = timer.listener()
    listener.take_up()
    timer.now = datetime(2026, 1, 1, 0, 4, 59, 990_000, tzinfo=UTC)
    await listener.run(is_past_due=False)
    assert timer.status["Next"] == "2026-01-01T00:10:00.0000000Z"


async def test_a_changed_schedule_is_taken_from_now_on(timer: Timer) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    assert not timer.listener("0 0 12 * * *").take_up()
    assert timer.status["Next"] == "2026-01-01T12:00:00.0000000Z"


async def test_a_schedule_within_a_minute_or_without_monitor_keeps_no_status(timer: Timer) -> None:
    for listener in (timer.listener("*/10 * * * * *"), timer.listener(useMonitor=False)):
        assert not listener.take_up()
        await listener.run(is_past_due=False)
        assert timer.status is None
    assert timer.requests[0].schedule_status == {}


async def test_an_interval_counts_from_the_last_run(timer: Timer) -> None:
    listener = timer.listener("01:00:00")
    listener.take_up()
    assert timer.status["Next"] == "2026-01-01T01:02:00.0000000Z"
    timer.now += timedelta(hours=1, minutes=3)
    await listener.run(is_past_due=False)
    assert timer.status["Next"] == "2026-01-01T02:05:00.0000000Z"


async def test_a_schedule_without_a_moment_to_come_is_logged(
    timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    listener = timer.listener("0 0 0 30 2 *")
    listener.start()
    await asyncio.sleep(0)
    await listener.stop(1)
    assert "The schedule of 'tick' names no moment to come." in caplog.text


def test_timers_run_by_the_clock_and_never_overlap(start_host: StartHost) -> None:
    host = start_host("ticking").wait_until_up()
    ticks = until(lambda: len(host.noted("tick")) >= 4 and host.noted("tick"))
    until(lambda: len(host.noted("startup")) == 1)
    begun_and_ended = [line.split()[0] for line in ticks[:4]]
    assert begun_and_ended == ["begin", "end", "begin", "end"]
    assert host.stop() == 0
