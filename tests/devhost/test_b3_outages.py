"""Contract B3: nothing is lost and nothing doubled when storage fails, hangs, goes away and comes back."""

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devhost.storage.storage_connection import StorageConnections
from local.azurite import Azurite, start_azurite, wait_for_azurite
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until
from tests.devhost.queue_trigger import (
    SETTINGS,
    FaultProxy,
    QueueTrigger,
    eventually,
    queue_of,
    texts_in,
)

SHORT = replace(SETTINGS, lease=timedelta(seconds=3))


@pytest.fixture
async def proxy(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FaultProxy]:
    """Storage whose faults the test chooses; triggers made after it go through it."""
    async with FaultProxy(azurite.ports.azurite_queue_port).running() as proxy:
        monkeypatch.setenv("Store", proxy.before(azurite.connection_string))
        yield proxy


@pytest.fixture
async def behind(proxy: FaultProxy, azurite: Azurite) -> AsyncIterator[QueueTrigger]:
    """A trigger that reaches its queue through the proxy, and waits two seconds for an answer."""
    storage = StorageConnections(read_seconds=2)
    made = QueueTrigger(storage, f"o{proxy.port}")
    await made.queue.create_queue()
    yield made
    proxy.always("ok")
    for listener in made.listeners:
        await listener.stop(5)
    await storage.close()


async def is_empty(trigger: QueueTrigger) -> bool:
    return await trigger.left() == 0


@pytest.mark.parametrize("fault", ["500", "503", "hang"])
async def test_storage_that_does_not_serve_is_asked_until_it_does(
    proxy: FaultProxy, behind: QueueTrigger, fault: str
) -> None:
    await behind.queue.send_message("one")
    proxy.always(fault)
    proxy.asked.clear()
    behind.listen()
    await eventually(lambda: len(proxy.asked) >= 2)
    assert behind.seen == []
    proxy.always("ok")
    await eventually(lambda: is_empty(behind))
    assert behind.seen == [("one", 1)]


async def test_a_delete_whose_answer_is_lost_runs_nothing_again(
    proxy: FaultProxy, behind: QueueTrigger
) -> None:
    await behind.queue.send_message("one")
    lost = iter(["lost"])

    async def choose(method: str, path: str) -> str:
        return next(lost, "ok") if method == "DELETE" else "ok"

    proxy.choose = choose
    behind.listen(SHORT)
    await eventually(lambda: sum(line.startswith("DELETE") for line in proxy.asked) >= 2)
    await eventually(lambda: is_empty(behind))
    await asyncio.sleep(0.5)  # longer than the longest poll: it would have come again
    assert behind.seen == [("one", 1)]


async def test_a_message_that_cannot_be_deleted_comes_again_after_its_lease(
    proxy: FaultProxy, behind: QueueTrigger
) -> None:
    await behind.queue.send_message("one")
    serves = asyncio.Event()

    async def choose(method: str, path: str) -> str:
        return "ok" if method != "DELETE" or serves.is_set() else "503"

    proxy.choose = choose
    behind.listen(SHORT)
    await eventually(lambda: behind.seen == [("one", 1)])
    await eventually(lambda: sum(line.startswith("DELETE") for line in proxy.asked) == 3)
    serves.set()
    await eventually(lambda: behind.seen == [("one", 1), ("one", 2)])
    await eventually(lambda: is_empty(behind))


async def test_a_poison_copy_that_cannot_be_stored_leaves_the_message(
    proxy: FaultProxy, behind: QueueTrigger
) -> None:
    await behind.queue.send_message("bad one")
    serves = asyncio.Event()

    async def choose(method: str, path: str) -> str:
        return "503" if "-poison" in path and not serves.is_set() else "ok"

    proxy.choose = choose
    behind.listen(replace(SHORT, max_dequeue_count=1))
    await eventually(lambda: sum("-poison" in line for line in proxy.asked) >= 3)
    assert await behind.left() == 1
    serves.set()
    assert await eventually(behind.poisoned) == ["bad one"]
    await eventually(lambda: is_empty(behind))
    assert behind.seen == [("bad one", 1)]  # over the count by then, it is moved and not run again


async def test_a_queue_that_is_deleted_and_made_again_is_read_again(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("before")
    trigger.listen()
    await eventually(lambda: trigger.seen == [("before", 1)])
    await trigger.queue.delete_queue()
    await asyncio.sleep(0.5)
    await trigger.queue.create_queue()
    await trigger.queue.send_message("after")
    await eventually(lambda: trigger.seen == [("before", 1), ("after", 1)])


async def test_a_queue_that_is_deleted_under_a_running_message_stops_nothing(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("before")
    trigger.hold = asyncio.Event()
    trigger.listen()
    await eventually(lambda: trigger.seen)
    await trigger.queue.delete_queue()
    trigger.hold.set()
    await trigger.queue.create_queue()
    await trigger.queue.send_message("after")
    await eventually(lambda: trigger.seen == [("before", 1), ("after", 1)])


class Stoppable:
    """An Azurite that the test takes away and brings back, with its data and on its ports."""

    def __init__(self, azurite: Azurite, place: Path) -> None:
        self._azurite, self._place = azurite, place

    async def stop(self) -> None:
        await asyncio.to_thread(self._azurite.process.stop)

    async def start(self) -> None:
        def start() -> None:
            ports = self._azurite.ports
            self._azurite = start_azurite(ports, data=self._place / "azurite", logs=self._place)
            wait_for_azurite(self._azurite)

        await asyncio.to_thread(start)


async def test_a_stopped_azurite_loses_nothing_and_doubles_nothing_but_what_was_not_settled(
    own_azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    azurite = Stoppable(own_azurite, tmp_path)
    async with FaultProxy(own_azurite.ports.azurite_queue_port).running() as proxy:
        monkeypatch.setenv("Store", proxy.before(own_azurite.connection_string))
        storage = StorageConnections(read_seconds=2)
        trigger = QueueTrigger(storage, "work")
        try:
            await trigger.queue.create_queue()
            trigger.hold = asyncio.Event()
            trigger.listen(replace(SHORT, max_dequeue_count=2))

            # In the middle of a running function: it ends, its message cannot be deleted and comes again.
            await trigger.queue.send_message("one")
            await eventually(lambda: trigger.seen == [("one", 1)])
            await azurite.stop()
            trigger.hold.set()
            # Not sooner: a storage that is back at once serves the client's second or third try to delete.
            await eventually(lambda: "could not be settled" in caplog.text)
            await azurite.start()
            await eventually(lambda: trigger.seen == [("one", 1), ("one", 2)], seconds=30)
            await eventually(lambda: is_empty(trigger))

            # In the middle of a delete that Azurite did: the message is gone, whatever the answer.
            trigger.seen.clear()

            async def stop_after_delete(method: str, path: str) -> str:
                if method == "DELETE":
                    proxy.always("lost")
                    return "lost"
                return "ok"

            proxy.choose = stop_after_delete
            await trigger.queue.send_message("two")
            await eventually(lambda: proxy.asked[-1].startswith("GET") and trigger.seen == [("two", 1)])
            await azurite.stop()
            await azurite.start()
            proxy.always("ok")
            await eventually(lambda: is_empty(trigger), seconds=30)

            # In the middle of a poison move, after the last run.
            trigger.seen.clear()
            is_stopped = asyncio.Event()

            async def stop_before_poison(method: str, path: str) -> str:
                if "-poison" in path:
                    proxy.always("ok")
                    await azurite.stop()
                    is_stopped.set()
                return "ok"

            proxy.choose = stop_before_poison
            await trigger.queue.send_message("bad three")
            async with asyncio.timeout(15):
                await is_stopped.wait()
            assert trigger.seen == [("bad three", 1), ("bad three", 2)]
            await azurite.start()
            await eventually(lambda: is_empty(trigger), seconds=30)
            # Whose lease ran out before its copy was stored may have a second one.
            assert await trigger.poisoned() in (["bad three"], ["bad three"] * 2)
            assert trigger.seen == [("bad three", 1), ("bad three", 2)]
        finally:
            for listener in trigger.listeners:
                await listener.stop(5)
            await storage.close()
            await azurite.stop()


def test_a_host_that_is_killed_again_and_again_loses_no_message_and_doubles_those_in_hand_only(
    start_host: StartHost, azurite: Azurite
) -> None:
    name, in_hand, kills = f"k{uuid.uuid4().hex[:12]}", 4, 2
    settings = {
        "WorkQueue": name,
        "AzureWebJobsStorage": azurite.connection_string,
        "DEVHOST_QUEUE_LEASE": "00:00:02",
        "AzureFunctionsJobHost__extensions__queues__batchSize": str(in_hand),
        "AzureFunctionsJobHost__extensions__queues__newBatchThreshold": "0",
    }
    texts = [f"sleep 0.1 {number}" for number in range(24)]
    with queue_of(azurite, name) as queue, queue_of(azurite, f"{name}-poison") as poison:
        queue.create_queue()
        for text in texts:
            queue.send_message(text)
        for killed in range(1, kills + 1):
            host = start_host(arguments=("start", "--functions", "work"), environment=settings)
            until(lambda: len(host.noted("work")) > 10 * killed, seconds=30, why=host.log)  # noqa: B023 (run at once)
            host.kill()
        host = start_host(arguments=("start", "--functions", "work"), environment=settings)
        until(lambda: queue.get_queue_properties().approximate_message_count == 0, seconds=30, why=host.log)
        assert host.stop() == 0
        assert texts_in(poison) == []
    ended = Counter(line.removesuffix(" done") for line in host.noted("work") if line.endswith(" done"))
    begun = Counter(line.rpartition(" ")[0] for line in host.noted("work") if not line.endswith(" done"))
    assert set(ended) == set(texts)
    assert begun.total() - len(texts) <= kills * in_hand
