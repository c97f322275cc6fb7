"""The management API over a hub in a file, without a network; nothing runs what it starts."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from devhost.durable.client_binding import WEBHOOK_PATH, DurableClientUrls
from devhost.durable.dispatcher import Dispatcher
from devhost.durable.episode import DurableFunctions
from devhost.durable.history import Event, Status, execution_started
from devhost.durable.management_api import ManagementApi
from devhost.durable.records import Episode, EpisodeChange
from devhost.durable.task_hub import TaskHub
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.invocation.invoker import Invoker

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def function(name: str) -> FunctionDefinition:
    """A function that is known by its name and never called."""
    trigger = Binding("context", "orchestrationTrigger", "IN", {})
    signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
    return FunctionDefinition(name, print, trigger, (trigger,), signature, is_async=False)


class ManagementClient:
    """Calls the API; `put` stores an instance as it would stand after one step."""

    def __init__(self, directory: Path, *names: str, entities: Sequence[str] = (), **options: Any) -> None:
        self.hub = TaskHub(directory / "hub.sqlite")
        orchestrators = {name.lower(): function(name) for name in names}
        functions = DurableFunctions(
            orchestrators, {}, entities={name.lower(): function(name) for name in entities}
        )
        self.dispatcher = Dispatcher(self.hub, functions, Invoker("/", None))
        self.dispatcher.stand_by()
        self.api = ManagementApi(
            self.hub, self.dispatcher, functions, DurableClientUrls("Hub", 7071), **options
        )

    def put(
        self,
        instance_id: str,
        status: Status,
        *,
        now: datetime = NOW,
        given: str | None = None,
        output: str | None = None,
        history: list[Event] | None = None,
    ) -> None:
        started = execution_started(instance_id, "1", "o", given, now)
        self.hub.create_instance(instance_id, "1", "o", started, now)
        if status == Status.PENDING:
            return
        episode = self.hub.load_episode(instance_id)
        assert episode is not None
        self.end(episode, status, output, now=now, history=history)

    def end(
        self,
        episode: Episode,
        status: Status,
        output: str | None,
        *,
        now: datetime = NOW,
        history: list[Event] | None = None,
    ) -> None:
        self.hub.commit_episode(episode, EpisodeChange(history or [], status, None, now, output=output))

    async def call(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response:
        """Send one request below the webhook path; a body is JSON unless its headers say otherwise."""
        answer = await self.send(method, f"{WEBHOOK_PATH}/{path}", body, headers)
        assert answer is not None
        return answer

    async def send(
        self,
        method: str,
        path: str,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> web.Response | None:
        """Send one request to any path; None when the API leaves it to others."""
        sent_body = body.encode() if isinstance(body, str) else body or b""
        sent = {"Host": "localhost:7071", **({"Content-Type": "application/json"} if sent_body else {})}
        sent |= {"Content-Length": str(len(sent_body)), **(headers or {})}
        payload = StreamReader(BaseProtocol(asyncio.get_running_loop()), 2**16)
        payload.feed_data(sent_body)
        payload.feed_eof()
        request = make_mocked_request(method, path, sent, payload=payload)
        return await self.api.handle(request, path.partition("?")[0])

    def close(self) -> None:
        self.hub.close()


def content(answer: web.Response) -> Any:
    """The JSON of an answer; None when it has no body."""
    return json.loads(answer.text) if answer.text else None
