"""The dispatcher on its own: many instances at once, none in another's way."""

import asyncio
import sqlite3
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from devhost.durable import activity_run, dispatcher, work_queue
from devhost.durable.dispatcher import Concurrency, Dispatcher
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import EventType, Status, event, execution_started
from devhost.durable.records import Committed, EntityChange, EntityWork, EpisodeChange
from devhost.durable.task_hub import TaskHub
from devhost.durable.work_queue import WorkQueue
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

    def __init__(self, path: Path, *, is_shared: bool = False) -> None:
        self.gate = asyncio.Event()
        self.held = self.most_held = self.runs = 0
        self.hub = TaskHub(path)
        self.dispatcher = Dispatcher(
            self.hub, durable_functions(self.app()), Invoker("/", None), most=Concurrency(20, 4, 4)
        )
        self.dispatcher.start(is_shared=is_shared)

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

        @app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
        def fans_out(context: Any) -> Any:
            return len((yield context.task_all([context.call_activity("quick", n) for n in range(100)])))

        @app.orchestration_trigger(context_name="context")  # type: ignore[untyped-decorator]
        def races(context: Any) -> Any:
            calls = [context.call_activity("held", 1), context.call_activity("quick", 2)]
            yield context.task_any(calls)
            context.set_custom_status("first")
            yield context.task_all(calls)

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

    def custom_status(self, instance_id: str) -> str | None:
        instance = self.hub.instance(instance_id)
        return instance.custom_status if instance else None

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


async def test_the_results_of_a_fan_out_share_steps(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher, "_GATHER_SECONDS", 3600)
    running.start("i", "", orchestrator="fans_out")
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])
    steps = sum('"EventType":12,' in text for text in running.hub.history("i"))
    assert running.output("i") == "100"
    assert steps == 2  # the first, and one for all the results


async def test_a_lone_result_waits_for_nothing(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "_GATHER_SECONDS", 3600)
    running.start("i", "quick")
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])


async def test_a_result_beside_an_activity_that_takes_long_is_taken_up_soon(running: Running) -> None:
    running.start("i", "", orchestrator="races")
    await eventually(lambda: '"first"' in str(running.custom_status("i")))
    assert running.held == 1
    running.gate.set()
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])


async def test_ten_thousand_instances_with_messages_are_taken_up_at_once_and_cost_little(
    tmp_path: Path,
) -> None:
    hub = TaskHub(tmp_path / "many.sqlite")
    with hub.group():
        for number in range(10_000):
            raised = event(EventType.EVENT_RAISED, datetime.now(UTC), Name="e", Input='"x"' * 200)
            hub.add_event(f"instance-{number:05}", raised)
    dispatcher = Dispatcher(hub, DurableFunctions({}, {}), Invoker("/", None), most=Concurrency(1, 1, 1))
    tracemalloc.start()
    began, before = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    dispatcher.start()
    seconds, after = time.perf_counter() - began, tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert (after - before) / 10_000 < 2048
    assert seconds < 2  # some tens of milliseconds, but for what else the machine does
    await dispatcher.stop(1)
    hub.close()


async def test_an_instance_that_was_stepped_goes_behind_the_others() -> None:
    order: list[str] = []
    queue: WorkQueue[str]

    async def step(name: str) -> None:
        order.append(name)
        if len(order) < 6:
            queue.put(name)

    queue = WorkQueue("step of", 1, step)
    for name in "abc":
        queue.put(name)
    await eventually(lambda: len(order) == 8)
    assert "".join(order) == "abcabcab"
    await queue.stop(1)


async def test_entities_run_as_many_at_once_as_they_may_and_each_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub, gate, running, most = TaskHub(tmp_path / "entities.sqlite"), asyncio.Event(), set[str](), [0]

    async def run_entity(work: EntityWork) -> EntityChange:
        assert work.entity_id not in running
        running.add(work.entity_id)
        most[0] = max(most[0], len(running))
        await gate.wait()
        running.discard(work.entity_id)
        state = str(int(work.state or 0) + len(work.messages))
        return EntityChange(exists=True, state=state, updated=datetime.now(UTC))

    dispatcher = Dispatcher(hub, DurableFunctions({}, {}), Invoker("/", None), most=Concurrency(1, 1, 3))
    monkeypatch.setattr(dispatcher, "_entity_run", SimpleNamespace(run=run_entity))
    hub.add_entity_message("@counter@0", "{}")
    dispatcher.start()
    for number in range(5):
        for _ in range(2):
            hub.add_entity_message(f"@counter@{number}", "{}")
            dispatcher.wake_entity(f"@counter@{number}")
    await eventually(lambda: len(running) == 3)
    gate.set()
    await eventually(lambda: hub.waiting_entities() == [])
    assert [entity.state for entity in hub.entities()] == ["3", "2", "2", "2", "2"]
    assert most == [3]
    await dispatcher.stop(1)
    hub.close()


def leave_work(hub: TaskHub) -> None:
    """Store an activity and a timer of an instance of which no step can be made."""
    now = datetime.now(UTC)
    hub.create_instance("i", "1", "gone", execution_started("i", "1", "gone", None, now), now)
    episode = hub.load_episode("i")
    assert episode is not None
    timers = [(1, now + timedelta(seconds=1))]
    hub.commit_episode(
        episode, EpisodeChange([], Status.RUNNING, None, now, activities=[(0, "quick", "[1]")], timers=timers)
    )


async def test_activities_and_timers_that_another_process_leaves_are_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    running, other = Running(path, is_shared=True), TaskHub(path)
    await asyncio.sleep(0.05)  # the process that runs the hub has looked at it
    leave_work(other)
    await eventually(lambda: running.hub.pending_activity_ids() == [] and running.hub.next_timer() is None)
    await running.dispatcher.stop(1)
    running.hub.close()
    other.close()


async def test_a_transaction_that_left_timers_has_them_fired(running: Running) -> None:
    await asyncio.sleep(0.05)  # it has looked at the timers
    leave_work(running.hub)
    running.dispatcher.dispatch(Committed(has_timers=True))
    await eventually(lambda: running.hub.next_timer() is None)


async def test_what_another_process_writes_does_not_hurry_a_step_that_is_to_be_tried_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_queue, "RETRY_SECONDS", 60)
    path = tmp_path / "hub.sqlite"
    running, other = Running(path, is_shared=True), TaskHub(path)
    running.limit(timedelta(milliseconds=20))
    running.start("i", "", orchestrator="blocks")
    await eventually(lambda: running.runs == 1 and running.dispatcher._steps._retries)
    running.start("j", "quick")
    for number in range(5):
        other.store_timer_trigger_status("t", str(number))
        await asyncio.sleep(0.12)  # longer than between two looks
    assert running.runs <= 2  # a look may find the first message once more
    await running.dispatcher.stop(1)
    running.hub.close()
    other.close()


async def test_a_look_that_fails_is_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "hub.sqlite"
    running, other = Running(path, is_shared=True), TaskHub(path)
    waiting, broken = running.hub.waiting_instances, [True]

    def waiting_instances(*, after: int = 0) -> list[str]:
        if broken.pop() if broken else False:
            raise sqlite3.OperationalError("disk I/O error")
        return waiting(after=after)

    monkeypatch.setattr(running.hub, "waiting_instances", waiting_instances)
    now = datetime.now(UTC)
    other.create_instance("i", "1", "calls", execution_started("i", "1", "calls", '"\\"quick\\""', now), now)
    await eventually(lambda: running.with_status(Status.COMPLETED) == ["i"])
    assert not broken
    await running.dispatcher.stop(1)
    running.hub.close()
    other.close()


async def test_results_wait_for_others_as_long_as_the_last_step_took(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.hub, "has_activities", lambda _: True)
    loop, left = asyncio.get_running_loop(), dict[str, float]()
    for instance_id, seconds in (("long", 3600.0), ("short", 0.001)):
        running.dispatcher._note_duration(instance_id, seconds)
        running.dispatcher._wake_with_results(instance_id)
        left[instance_id] = running.dispatcher._gathering[instance_id].when() - loop.time()
    assert left["long"] > 3000
    assert left["short"] < 1
    running.dispatcher.wake("long")
    assert list(running.dispatcher._gathering) == ["short"]


async def test_each_function_that_is_not_there_is_named_once_also_where_two_have_one_name(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub, now = TaskHub(tmp_path / "hub.sqlite"), datetime.now(UTC)
    for instance_id in "ij":
        started = execution_started(instance_id, "1", "gone", None, now)
        hub.create_instance(instance_id, "1", "gone", started, now)
        hub._add_activity(instance_id, "1", 0, "Gone", "[1]")
    dispatcher = Dispatcher(hub, DurableFunctions({}, {}), Invoker("/", None))
    dispatcher.start()
    await eventually(lambda: not dispatcher._steps._tasks and not dispatcher._activities._tasks)
    named = sorted(line.partition("' is not there")[0] for line in caplog.messages if "is not there" in line)
    assert named == ["The activity 'Gone", "The orchestrator 'gone"]
    await dispatcher.stop(1)
    hub.close()
