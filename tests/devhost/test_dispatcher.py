"""The dispatcher on its own: many instances at once, none in another's way."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from devhost.durable import activity_run, work_queue
from devhost.durable.dispatcher import Concurrency, Dispatcher
from devhost.durable.history import EventType, Status, event, execution_started
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import Invoker
from tests.devhost.simulation import durable_functions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*df_loads was called without expected_type:DeprecationWarning"
)


class Mute(Exception):
    """An error that cannot say what it is about."""

    def __str__(self) -> str:
        raise RuntimeError


class Running:
    """A dispatcher at work, and the gate at which the activity `held` waits."""

    def __init__(self, path: Path) -> None:
        self.gate = asyncio.Event()
        self.held = self.most_held = self.runs = 0
        self.hub = TaskHub(path)
        self.dispatcher = Dispatcher(
            self.hub, durable_functions(self.app()), Invoker("/", None), most=Concurrency(20, 4, 4)
        )
        self.dispatcher.start()

    def app(self) -> df.DFApp:
        app = df.DFApp()

        @app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
        def calls(context: Any) -> Any:
            return (yield context.call_activity(context.get_input(), 1))

        @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
        async def quick(number: int) -> int:
            return number

        @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
        async def held(number: int) -> int:
            self.held += 1
            self.most_held = max(self.most_held, self.held)
            await self.gate.wait()
            self.held -= 1
            return number

        @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
        async def odd_text(number: int) -> int:
            self.runs += 1
            raise ValueError("a lone surrogate: \ud800")

        @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
        async def mute(number: int) -> int:
            self.runs += 1
            raise Mute

        @app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
        def blocks(context: Any) -> Any:
            self.runs += 1
            time.sleep(0.2)
            yield context.call_activity("quick", 1)

        return app

    def start(self, instance_id: str, activity: str, *, orchestrator: str = "calls") -> None:
        now = datetime.now(UTC)
        text = msgspec.json.encode(f'"{activity}"').decode()
        started = execution_started(instance_id, "1", orchestrator, text, now)
        self.hub.create_instance(instance_id, "1", orchestrator, started, now)
        self.dispatcher.wake(instance_id)

    def limit(self, span: timedelta) -> None:
        """Give functions that long."""
        self.dispatcher._invoker = Invoker("/", span)

    def output(self, instance_id: str) -> str | None:
        instance = self.hub.instance(instance_id)
        return instance.output if instance else None

    def with_status(self, status: Status) -> list[str]:
        return [instance.instance_id for instance in self.hub.instances() if instance.status is status]


async def eventually(what: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not what():  # noqa: ASYNC110 (what is waited for raises no event)
            await asyncio.sleep(0.01)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    made = Running(tmp_path / "hub.sqlite")
    yield made
    await made.dispatcher.stop(1)
    made.hub.close()


async def test_an_activity_that_takes_long_holds_no_other_instance_up(running: Running) -> None:
    running.start("long", "held")
    for number in range(20):
        running.start(f"quick-{number}", "quick")
    await eventually(lambda: len(running.with_status(Status.COMPLETED)) == 20)
    assert running.with_status(Status.RUNNING) == ["long"]
    running.gate.set()
    await eventually(lambda: len(running.with_status(Status.COMPLETED)) == 21)


async def test_no_more_activities_run_at_once_than_the_limit(running: Running) -> None:
    for number in range(10):
        running.start(f"{number}", "held")
    await eventually(lambda: len(running.hub.pending_activities()) == 10 and running.held == 4)
    running.gate.set()
    await eventually(lambda: len(running.with_status(Status.COMPLETED)) == 10)
    assert running.most_held == 4


async def test_a_stop_leaves_what_did_not_end_in_the_hub(running: Running) -> None:
    running.start("long", "held")
    await eventually(lambda: running.held == 1)
    await running.dispatcher.stop(0.05)
    assert [work.name for work in running.hub.pending_activities()] == ["held"]
    assert running.with_status(Status.RUNNING) == ["long"]


@pytest.mark.parametrize(
    ("activity", "says"),
    [
        ("odd_text", "ValueError: a lone surrogate: ?"),
        ("mute", "Mute: (its text cannot be read: RuntimeError)"),
    ],
)
async def test_an_error_whose_text_no_store_takes_fails_its_activity_once(
    running: Running, activity: str, says: str
) -> None:
    running.start("i", activity)
    await eventually(lambda: running.with_status(Status.FAILED) == ["i"])
    assert says in str(running.output("i"))
    assert running.runs == 1


async def test_a_result_that_cannot_be_stored_fails_the_activity_and_runs_it_no_more(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: Any) -> Any:
        raise sqlite3.DataError("string or blob too big")

    monkeypatch.setattr(activity_run, "completed_event", refuses)
    running.start("i", "odd_text")
    await eventually(lambda: running.with_status(Status.FAILED) == ["i"])
    assert "devhost cannot store the result: DataError" in str(running.output("i"))
    assert running.runs == 1


async def test_an_activity_that_meets_a_locked_hub_runs_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queue, "RETRY_SECONDS", 0.01)
    complete, locked = running.hub.complete_activity, [True]

    def complete_later(*arguments: Any) -> None:
        if locked.pop() if locked else False:
            raise sqlite3.OperationalError("database is locked")
        complete(*arguments)

    monkeypatch.setattr(running.hub, "complete_activity", complete_later)
    running.start("i", "quick")
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])


async def test_a_step_that_times_out_is_tried_again_ever_later(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, waits = asyncio.get_running_loop(), list[float]()
    call_later = loop.call_later

    def at_once(delay: float, callback: Callable[..., Any], *arguments: Any) -> Any:
        if callback != running.dispatcher._steps.put:
            return call_later(delay, callback, *arguments)
        waits.append(delay)
        return call_later(0, callback, *arguments) if len(waits) < 8 else call_later(60, callback, *arguments)

    monkeypatch.setattr(loop, "call_later", at_once)
    running.limit(timedelta(milliseconds=20))
    running.start("i", "", orchestrator="blocks")
    await eventually(lambda: len(waits) == 8)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300]
    assert running.with_status(Status.PENDING) == ["i"]


async def test_messages_during_a_wait_make_no_second_retry(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, retries = asyncio.get_running_loop(), list[asyncio.TimerHandle]()
    call_later = loop.call_later

    def noted(delay: float, callback: Callable[..., Any], *arguments: Any) -> Any:
        handle = call_later(delay, callback, *arguments)
        if callback == running.dispatcher._steps.put:
            retries.append(handle)
        return handle

    monkeypatch.setattr(loop, "call_later", noted)
    running.limit(timedelta(milliseconds=20))
    running.start("i", "", orchestrator="blocks")

    def has(number: int) -> Callable[[], bool]:
        return lambda: len(retries) == number

    for number in range(1, 4):
        await eventually(has(number))
        running.dispatcher.wake("i")
    await eventually(has(4))
    assert [handle.cancelled() for handle in retries] == [True, True, True, False]


async def test_a_step_that_times_out_once_goes_on_with_its_retry(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queue, "RETRY_SECONDS", 0.01)
    running.limit(timedelta(milliseconds=20))
    running.start("i", "", orchestrator="blocks")
    await eventually(lambda: running.runs == 2)
    running.limit(timedelta(seconds=60))
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])


async def test_a_purged_instances_queued_activity_does_not_run(running: Running) -> None:
    for number in range(4):
        running.start(f"held-{number}", "held")
    await eventually(lambda: running.held == 4)
    running.start("purged", "odd_text")
    await eventually(lambda: len(running.hub.pending_activities()) == 5)
    running.hub.add_event("purged", event(EventType.EXECUTION_TERMINATED, datetime.now(UTC), Input="x"))
    running.dispatcher.wake("purged")
    await eventually(lambda: running.with_status(Status.TERMINATED) == ["purged"])
    assert running.hub.purge(["purged"]) == 1
    assert len(running.hub.pending_activities()) == 4
    running.gate.set()
    await eventually(lambda: len(running.with_status(Status.COMPLETED)) == 4)
    assert (running.runs, running.hub.waiting_instances()) == (0, [])
