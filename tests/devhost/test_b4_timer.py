"""Timer triggers: when they run, what is kept over a restart, and what is caught up. Time is stepped."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import azure.functions as func
import pytest

from devhost.durable.task_hub import TaskHub
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker
from devhost.timer.timer_listener import TimerListener, timer_datum
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until

START = datetime(2026, 1, 1, 0, 2, tzinfo=UTC)
FIRST = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)


class Timer:
    """One timer function on a clock of its own."""

    def __init__(self, path: Path) -> None:
        self.hub = TaskHub(path)
        self.now = START
        self.requests: list[Any] = []
        self.begun: list[datetime] = []
        self.sleeps: list[float] = []
        self.takes = timedelta(0)
        self.fails = False
        self.count = asyncio.Condition()
        self.on_sleep: Callable[[], None] = lambda: None

    async def _sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += timedelta(seconds=seconds)
        self.on_sleep()
        await asyncio.sleep(0)

    def listener(
        self, schedule: str = "0 */5 * * * *", zone: ZoneInfo | None = None, **properties: Any
    ) -> TimerListener:
        async def tick(timer: func.TimerRequest) -> None:
            self.requests.append(timer)
            self.begun.append(self.now)
            self.now += self.takes
            async with self.count:
                self.count.notify_all()
            if self.fails:
                raise ValueError("tick")

        trigger = Binding(
            "timer", "timerTrigger", "IN", {"schedule": schedule, "useMonitor": True, **properties}
        )
        signature = read_signature("tick", tick, [trigger])
        function = FunctionDefinition("tick", tick, trigger, (trigger,), signature, is_async=True)
        return TimerListener(
            function, Invoker("/", None), self.hub, lambda: self.now, zone or UTC, self._sleep
        )

    async def runs(self, listener: TimerListener, count: int) -> list[datetime]:
        """Let the listener keep its schedule until it has run so often; when each run began."""
        listener.start()
        async with asyncio.timeout(5):
            async with self.count:
                await self.count.wait_for(lambda: len(self.requests) >= count)
        await listener.stop(1)
        return self.begun[:count]

    @property
    def status(self) -> Any:
        return json.loads(self.hub.timer_trigger_status("tick") or "null")


@pytest.fixture
def timer(tmp_path: Path) -> Iterator[Timer]:
    made = Timer(tmp_path / "hub.sqlite")
    yield made
    made.hub.close()


def test_a_first_start_writes_the_status_and_runs_nothing(timer: Timer) -> None:
    assert not timer.listener().take_up()
    assert timer.status == {
        "Last": "0001-01-01T00:00:00+00:00",
        "Next": "2026-01-01T00:05:00+00:00",
        "LastUpdated": "2026-01-01T00:02:00+00:00",
    }


async def test_it_runs_at_each_moment_of_the_schedule(timer: Timer) -> None:
    assert await timer.runs(timer.listener(), 3) == [FIRST + n * timedelta(minutes=5) for n in range(3)]
    assert [request.past_due for request in timer.requests] == [False] * 3
    assert timer.status["Last"] == "2026-01-01T00:15:00+00:00"


async def test_the_function_sees_the_status_before_its_run(timer: Timer) -> None:
    await timer.runs(timer.listener(), 2)
    first, second = timer.requests
    assert first.schedule_status["Next"] == "2026-01-01T00:05:00+00:00"
    assert first.schedule == {"AdjustForDST": True}
    assert second.schedule_status == {
        "Last": "2026-01-01T00:05:00+00:00",
        "Next": "2026-01-01T00:10:00+00:00",
        "LastUpdated": "2026-01-01T00:05:00+00:00",
    }


async def test_missed_runs_are_caught_up_once_and_are_past_due(timer: Timer) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    begun = await timer.runs(timer.listener(), 2)
    assert begun == [START + timedelta(hours=1), datetime(2026, 1, 1, 1, 5, tzinfo=UTC)]
    late, regular = timer.requests
    assert late.past_due
    assert not regular.past_due
    assert late.schedule_status["Next"] == "2026-01-01T00:05:00+00:00"


async def test_a_missed_run_is_made_up_for_instead_of_the_run_at_start_up(timer: Timer) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    await timer.runs(timer.listener(runOnStartup=True), 2)
    assert [request.past_due for request in timer.requests[:2]] == [True, False]
    assert timer.begun[1] == datetime(2026, 1, 1, 1, 5, tzinfo=UTC)


async def test_a_run_at_start_up_comes_at_once_and_moves_the_schedule_on(timer: Timer) -> None:
    assert await timer.runs(timer.listener(runOnStartup=True), 2) == [START, FIRST]
    assert timer.requests[1].schedule_status["Last"] == "2026-01-01T00:02:00+00:00"


async def test_a_run_at_start_up_just_before_a_moment_does_not_count_as_that(timer: Timer) -> None:
    timer.now = FIRST - timedelta(milliseconds=10)
    assert await timer.runs(timer.listener(runOnStartup=True), 2) == [timer.begun[0], FIRST]


async def test_a_failed_run_moves_the_schedule_on(timer: Timer) -> None:
    timer.fails = True
    assert await timer.runs(timer.listener(), 2) == [FIRST, FIRST + timedelta(minutes=5)]
    assert timer.status["Next"] == "2026-01-01T00:15:00+00:00"


async def test_a_run_that_takes_long_is_followed_at_once_by_one(timer: Timer) -> None:
    timer.takes = timedelta(minutes=12)
    begun = await timer.runs(timer.listener(), 3)
    assert begun == [FIRST, FIRST + timedelta(minutes=12), FIRST + timedelta(minutes=24)]
    assert not any(request.past_due for request in timer.requests)


async def test_a_run_a_little_early_is_not_made_twice(timer: Timer) -> None:
    listener = timer.listener()
    listener.take_up()
    timer.now = FIRST - timedelta(milliseconds=10)
    await listener.run()
    assert timer.status["Last"] == "2026-01-01T00:05:00+00:00"
    assert timer.status["Next"] == "2026-01-01T00:10:00+00:00"


def test_a_changed_schedule_is_taken_from_now_on(timer: Timer) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    assert not timer.listener("0 */20 * * * *").take_up()
    assert timer.status["Next"] == "2026-01-01T01:20:00+00:00"
    assert timer.status["LastUpdated"] == "2026-01-01T01:02:00+00:00"


def test_a_status_that_cannot_be_read_counts_as_none(timer: Timer, caplog: pytest.LogCaptureFixture) -> None:
    timer.hub.store_timer_trigger_status("tick", "{")
    assert not timer.listener().take_up()
    assert timer.status["Next"] == "2026-01-01T00:05:00+00:00"
    assert "The stored status of the timer 'tick' cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("schedule", "properties"),
    [("*/10 * * * * *", {}), ("00:00:30", {}), ("0 */5 * * * *", {"useMonitor": False})],
)  # fmt: skip
async def test_a_schedule_within_a_minute_or_without_monitor_keeps_no_status(
    timer: Timer, schedule: str, properties: dict[str, Any]
) -> None:
    listener = timer.listener(schedule, **properties)
    await timer.runs(listener, 2)
    assert timer.status is None
    assert timer.requests[0].schedule_status == {}
    assert not listener.is_monitored


async def test_without_a_monitor_nothing_is_caught_up(timer: Timer) -> None:
    timer.listener(useMonitor=False).take_up()
    timer.now += timedelta(hours=1)
    assert not timer.listener(useMonitor=False).take_up()


async def test_an_interval_counts_from_the_beginning_of_the_last_run(timer: Timer) -> None:
    timer.takes = timedelta(minutes=10)
    begun = await timer.runs(timer.listener("01:00:00"), 2)
    assert begun == [START + timedelta(hours=1), START + timedelta(hours=2)]


async def test_a_schedule_is_read_in_its_zone(timer: Timer) -> None:
    listener = timer.listener("0 0 9 * * *", ZoneInfo("Europe/Berlin"))
    assert await timer.runs(listener, 1) == [datetime(2026, 1, 1, 8, tzinfo=UTC)]
    assert timer.status["Next"] == "2026-01-02T09:00:00+01:00"


async def test_a_long_wait_is_slept_in_pieces_so_that_a_clock_set_on_is_noticed(timer: Timer) -> None:
    def set_on() -> None:
        if len(timer.sleeps) == 3:
            timer.now += timedelta(days=40)

    timer.on_sleep = set_on
    (begun,) = await timer.runs(timer.listener("0 0 0 1 2 *"), 1)
    assert begun == START + timedelta(days=40, minutes=3)
    assert max(timer.sleeps) <= 60


async def test_a_clock_set_back_has_no_moment_run_twice(timer: Timer) -> None:
    def set_back() -> None:
        if len(timer.requests) == 1 and len(timer.sleeps) == 5:
            timer.now -= timedelta(minutes=4)

    timer.on_sleep = set_back
    begun = await timer.runs(timer.listener(), 2)
    assert begun == [FIRST, FIRST + timedelta(minutes=5)]


async def test_no_error_stops_a_schedule(
    timer: Timer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store, failures = timer.hub.store_timer_trigger_status, [OSError("disk full")]

    def store_once_broken(function: str, status: str) -> None:
        if timer.requests and failures:
            raise failures.pop()
        store(function, status)

    monkeypatch.setattr(timer.hub, "store_timer_trigger_status", store_once_broken)
    begun = await timer.runs(timer.listener(), 2)
    assert "The timer of 'tick' failed in the host and is taken up again" in caplog.text
    assert begun == [FIRST, FIRST + timedelta(minutes=5)]
    assert timer.status["Last"] == "2026-01-01T00:10:00+00:00"


async def test_a_run_whose_status_a_busy_store_refused_is_not_made_again_by_the_next_start(
    timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, failures = timer.hub.store_timer_trigger_status, [OSError("locked")] * 3
    stored = asyncio.Event()

    def store_at_last(function: str, status: str) -> None:
        if timer.requests and failures:
            raise failures.pop()
        store(function, status)
        if timer.requests:
            stored.set()

    monkeypatch.setattr(timer.hub, "store_timer_trigger_status", store_at_last)
    listener = timer.listener()
    listener.start()
    async with asyncio.timeout(5):
        await stored.wait()
    await listener.stop(1)
    assert timer.begun == [FIRST]
    assert not timer.listener().take_up()


async def test_a_store_that_is_away_at_the_start_is_tried_again(
    timer: Timer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer.listener().take_up()
    timer.now += timedelta(hours=1)
    read, failures = timer.hub.timer_trigger_status, [OSError("locked")]

    def read_once_broken(function: str) -> str | None:
        if failures:
            raise failures.pop()
        return read(function)

    monkeypatch.setattr(timer.hub, "timer_trigger_status", read_once_broken)
    await timer.runs(timer.listener(), 1)
    assert timer.requests[0].past_due


async def test_a_schedule_without_a_moment_to_come_is_logged(
    timer: Timer, caplog: pytest.LogCaptureFixture
) -> None:
    listener = timer.listener("0 0 0 30 2 *")
    listener.start()
    for _ in range(10):
        await asyncio.sleep(0)
    await listener.stop(1)
    assert "The schedule of 'tick' names no moment to come." in caplog.text
    assert timer.requests == []


def test_what_a_run_by_hand_is_told() -> None:
    assert json.loads(timer_datum(None, is_past_due=False).value) == {
        "Schedule": {"AdjustForDST": True},
        "ScheduleStatus": None,
        "IsPastDue": False,
    }


def test_timers_run_by_the_clock_and_never_overlap(start_host: StartHost) -> None:
    host = start_host("ticking").wait_until_up()
    ticks = until(lambda: len(host.noted("tick")) >= 4 and host.noted("tick"))
    until(lambda: len(host.noted("startup")) == 1)
    begun_and_ended = [line.split()[0] for line in ticks[:4]]
    assert begun_and_ended == ["begin", "end", "begin", "end"]
    assert host.stop() == 0


def test_a_zone_that_is_none_stops_the_start(start_host: StartHost) -> None:
    host = start_host("ticking", environment={"WEBSITE_TIME_ZONE": "Middle Earth Standard Time"})
    assert host.process.wait(20) == 1
    assert "WEBSITE_TIME_ZONE 'Middle Earth Standard Time' is not a time zone." in host.log
