"""The management API over many instances, without a network."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp.test_utils import make_mocked_request

from devhost.durable.client_binding import WEBHOOK_PATH, DurableClientUrls
from devhost.durable.dispatcher import Dispatcher
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import Status, execution_started
from devhost.durable.management_api import ManagementApi
from devhost.durable.records import EpisodeChange
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import Invoker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def test_a_purge_of_many_lets_others_have_their_turn(tmp_path: Path) -> None:
    hub = TaskHub(tmp_path / "hub.sqlite")
    for number in range(1000):
        instance_id, now = f"i{number:04}", NOW + timedelta(seconds=number // 7)
        hub.create_instance(instance_id, "1", "o", execution_started(instance_id, "1", "o", None, now), now)
        episode = hub.load_episode(instance_id)
        assert episode is not None
        status = Status.RUNNING if number % 10 == 0 else Status.COMPLETED
        hub.commit_episode(episode, EpisodeChange([], status, None, now))
    functions = DurableFunctions({}, {})
    dispatcher = Dispatcher(hub, functions, Invoker("/", None))
    api = ManagementApi(hub, dispatcher, functions, DurableClientUrls("Hub", 7071))
    path = f"{WEBHOOK_PATH}/instances?createdTimeFrom=2020-01-01"
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    answer: Any = await api.handle(make_mocked_request("DELETE", path), f"{WEBHOOK_PATH}/instances")
    others.cancel()
    assert answer.text == '{"instancesDeleted": 900}'
    assert {instance.status for instance in hub.instances()} == {Status.RUNNING}
    assert turns >= 5
    hub.close()
