"""The dispatcher on its own: many instances at once, none in another's way."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import msgspec
import pytest

from devhost.durable.dispatcher import Dispatcher
from devhost.durable.history import Status, execution_started
from devhost.durable.task_hub import TaskHub
from devhost.invoker import Invoker
from tests.devhost.simulation import durable_functions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*df_loads was called without expected_type:DeprecationWarning"
)


class Running:
    """A dispatcher at work, and the gate at which the activity `held` waits."""

    def __init__(self, path: Path) -> None:
        self.gate = asyncio.Event()
        self.held = self.most_held = 0
        self.hub = TaskHub(path)
        self.dispatcher = Dispatcher(
            self.hub, durable_functions(self.app()), Invoker("/", None), concurrency=4
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

        return app

    def start(self, instance_id: str, activity: str) -> None:
        now = datetime.now(UTC)
        text = msgspec.json.encode(f'"{activity}"').decode()
        started = execution_started(instance_id, "1", "calls", text, now)
        self.hub.create_instance(instance_id, "1", "calls", started, now)
        self.dispatcher.wake(instance_id)

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
