"""B5.8: entities in a host that is killed while they work, and many of them at once."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable import work_queue
from devhost.durable.dispatcher import Concurrency, Dispatcher
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import Invoker
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.simulation import durable_functions

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*df_loads was called without expected_type:DeprecationWarning"
)
NAMES = [f"i{number}" for number in range(6)]


def told(host: DevhostProcess, key: str) -> Any:
    answer = host.durable("GET", f"entities/tally/{key}")
    return answer.json() if answer.status == 200 else None


def wait_for_more(host: DevhostProcess, before: int) -> None:
    """Wait until the shared tally was told more than `before`."""
    until(lambda: len(told(host, "shared") or []) > before)


def test_killed_hosts_lose_no_operation_and_apply_none_twice(start_host: StartHost) -> None:
    host = start_host("tallying").wait_until_up()
    for number, names in enumerate((NAMES[:3], NAMES[3:]), 1):
        before = len(told(host, "shared") or [])
        for name in names:
            assert host.start("tells", name).status == 202
        wait_for_more(host, before)
        assert host.call("POST", "/api/tell/client/note", str(number)).status == 202
        host.kill()
        host = start_host("tallying").wait_until_up()
    assert [host.ended(name, seconds=30)["output"] for name in NAMES] == [9] * len(NAMES)
    until(lambda: len(told(host, "shared")) == len(NAMES) * 16)
    everything = told(host, "shared")
    for name in NAMES:
        mine = [[number, way] for who, number, way in everything if who == name]
        assert mine == [[number, way] for number in range(8) for way in ("signal", "call")]
        assert told(host, name) == [*range(8), "end"]
    assert told(host, "client") == [1, 2]


def test_an_entity_is_told_and_forgets_through_the_client(start_host: StartHost) -> None:
    host = start_host("tallying").wait_until_up()
    assert host.call("POST", "/api/tell/Key/note", '{"a": "ü"}'.encode()).status == 202
    assert until(lambda: told(host, "Key")) == [{"a": "ü"}]
    assert host.durable("GET", "entities/TALLY").json()[0]["entityId"] == {"name": "tally", "key": "Key"}
    assert host.call("POST", "/api/tell/Key/forget", "1").status == 202
    until(lambda: host.durable("GET", "entities/tally/Key").status == 404)
    assert host.stop() == 0


class Gated:
    """A dispatcher whose entities wait at a gate, and how many did so at once: in all, and for one key."""

    def __init__(self, path: Path, entities: int) -> None:
        self.gate, self._lock = threading.Event(), threading.Lock()
        self.inside: dict[str, int] = {}
        self.most = self.most_of_one = 0
        self.hub = TaskHub(path)
        app = df.DFApp()
        app.entity_trigger(context_name="context", entity_name="waits")(self._waits)
        self.dispatcher = Dispatcher(
            self.hub,
            durable_functions(app),
            Invoker("/", None),
            most=Concurrency(4, 4, entities),
            most_operations=2,
        )
        self.dispatcher.start()

    def _waits(self, context: df.DurableEntityContext) -> None:
        key = context.entity_key
        with self._lock:
            self.inside[key] = self.inside.get(key, 0) + 1
            self.most = max(self.most, sum(self.inside.values()))
            self.most_of_one = max(self.most_of_one, self.inside[key])
        self.gate.wait(10)
        with self._lock:
            self.inside[key] -= 1
        context.set_state(context.get_state(lambda: 0) + 1)

    def signal(self, key: str) -> None:
        body = {"op": "x", "signal": True, "input": None, "id": "1", "parent": None}
        self.hub.add_entity_message(f"@waits@{key}", json.dumps(body))
        self.dispatcher.wake_entity(f"@waits@{key}")


async def test_one_entity_does_one_thing_at_a_time_and_many_work_side_by_side(tmp_path: Path) -> None:
    gated = Gated(tmp_path / "hub.sqlite", entities=3)
    for _ in range(5):
        for key in "abcde":
            gated.signal(key)
    async with asyncio.timeout(10):
        while sum(gated.inside.values()) < 3:  # noqa: ASYNC110 (threads raise no event of the loop)
            await asyncio.sleep(0.01)
        gated.gate.set()
        while gated.hub.waiting_entities():  # noqa: ASYNC110 (as above)
            await asyncio.sleep(0.01)
    await gated.dispatcher.stop(5)
    assert (gated.most, gated.most_of_one) == (3, 1)
    assert [entity.state for entity in gated.hub.entities()] == ["5"] * 5
    gated.hub.close()


async def test_a_batch_that_failed_as_a_whole_is_tried_again_and_its_entity_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(work_queue, "RETRY_SECONDS", 0.01)
    app, runs = df.DFApp(), list[int]()

    def fails_once(context: df.DurableEntityContext) -> None:
        runs.append(1)
        context.set_state(object() if len(runs) == 1 else "fine")

    app.entity_trigger(context_name="context")(fails_once)
    hub = TaskHub(tmp_path / "hub.sqlite")
    dispatcher = Dispatcher(hub, durable_functions(app), Invoker("/", None))
    body = {"op": "x", "signal": True, "input": None, "id": "1", "parent": None}
    hub.add_entity_message("@fails_once@k", json.dumps(body))
    dispatcher.start()
    async with asyncio.timeout(10):
        while hub.waiting_entities():  # noqa: ASYNC110 (what is waited for raises no event)
            await asyncio.sleep(0.01)
    await dispatcher.stop(5)
    entity = hub.entity("@fails_once@k")
    assert entity is not None
    assert entity.state == '"fine"'
    assert "batch of entity @fails_once@k is abandoned and tried again" in caplog.text
    hub.close()
