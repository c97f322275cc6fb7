"""B5.10, the other side: what the SDK's client sends, so that what the endpoints are tested with is real."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import azure.durable_functions as df
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from azure.durable_functions.models.utils import http_utils

from devhost.durable.client_binding import DurableClientUrls

ENTITY = df.EntityId("Counter", "Key")


@dataclass
class Recorder:
    """Answers every request with `status` and `body`, and remembers it."""

    status: int = 202
    body: object = None
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    async def handle(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.raw_path, await request.text()))
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        return web.json_response(self.body, status=self.status)


@pytest.fixture
async def recorder() -> AsyncIterator[tuple[Recorder, Callable[..., Any]]]:
    recorder = Recorder()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.handle)
    server = TestServer(app)
    await server.start_server()
    binding = DurableClientUrls("Hub", server.port or 0).binding_json()
    yield recorder, lambda **options: df.DurableOrchestrationClient(binding, **options)
    await http_utils._close_session()
    await server.close()


Recording = tuple[Recorder, Callable[..., Any]]
MOMENT = datetime(2026, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (
            lambda client: client.start_new("fn", "one", {"a": 1}),
            ("POST", "orchestrators/fn/one", json.dumps('{"a": 1}')),
        ),
        (lambda client: client.start_new("fn", version="2"), ("POST", "orchestrators/fn?version=2", "")),
        (
            lambda client: client.raise_event("one", "go", True),
            ("POST", "instances/one/raiseEvent/go", json.dumps(json.dumps(True))),
        ),
        (
            lambda client: client.raise_event("one", "go", None, "Other", "Their"),
            ("POST", "instances/one/raiseEvent/go?taskHub=Other&connection=Their", '"null"'),
        ),
        (
            lambda client: client.terminate("one", "a & b"),
            ("POST", "instances/one/terminate?reason=a%20%26%20b", ""),
        ),
        (lambda client: client.suspend("one", "r"), ("POST", "instances/one/suspend?reason=r", "")),
        (lambda client: client.resume("one", "r"), ("POST", "instances/one/resume?reason=r", "")),
        (lambda client: client.rewind("one", "r"), ("POST", "instances/one/rewind?reason=r", "")),
        (
            lambda client: client.restart("one", False),
            ("POST", "instances/one/restart?restartWithNewInstanceId=false", ""),
        ),
        (
            lambda client: client.signal_entity(ENTITY, "add", 5),
            ("POST", "entities/Counter/Key?op=add", '"5"'),
        ),
        (lambda client: client.signal_entity(ENTITY, "add", 0), ("POST", "entities/Counter/Key?op=add", "")),
    ],
)
async def test_a_post(recorder: Recording, call: Callable[[Any], Any], sent: tuple[str, str, str]) -> None:
    recorded, client = recorder
    recorded.body = {"id": "one"}
    await call(client())
    method, path, body = sent
    assert recorded.seen == [(method, f"/durabletask/{path}", body)]
    kind = "application/json" if body else "application/octet-stream"
    assert recorded.headers["content-type"] == kind
    assert recorded.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        (lambda client: client.get_status("one"), ("GET", "instances/one", {})),
        (
            lambda client: client.get_status("one", True, True, True),
            ("GET", "instances/one?showInput=True&showHistory=True&showHistoryOutput=True", {}),
        ),
        (lambda client: client.get_status_all(), ("GET", "instances/", [])),
        (
            lambda client: client.get_status_by(
                MOMENT,
                MOMENT,
                [df.OrchestrationRuntimeStatus.Running, df.OrchestrationRuntimeStatus.Failed],
                "pre",
            ),
            (
                "GET",
                "instances/?createdTimeFrom=2026-01-02T03:04:05.000000Z"
                "&createdTimeTo=2026-01-02T03:04:05.000000Z&instanceIdPrefix=pre"
                "&runtimeStatus=Running,Failed",
                [],
            ),
        ),
        (
            lambda client: client.purge_instance_history("one"),
            ("DELETE", "instances/one", {"instancesDeleted": 1}),
        ),
        (
            lambda client: client.purge_instance_history_by(MOMENT),
            ("DELETE", "instances/?createdTimeFrom=2026-01-02T03:04:05.000000Z", {"instancesDeleted": 1}),
        ),
        (lambda client: client.read_entity_state(ENTITY), ("GET", "entities/Counter/Key", 5)),
    ],
)
async def test_what_is_read_or_deleted(
    recorder: Recording, call: Callable[[Any], Any], sent: tuple[str, str, object]
) -> None:
    recorded, client = recorder
    method, path, recorded.body = sent
    recorded.status = 200
    await call(client())
    assert recorded.seen == [(method, f"/durabletask/{path}", "")]


async def test_a_function_that_takes_a_context_is_named_by_its_invocation(recorder: Recording) -> None:
    recorded, client = recorder
    await client(function_invocation_id="abc").terminate("one", "r")
    assert recorded.headers["x-azure-functions-invocationid"] == "abc"
    await client().terminate("one", "r")
    assert "x-azure-functions-invocationid" not in recorded.headers


async def test_a_restart_gives_what_was_answered_and_not_an_id(recorder: Recording) -> None:
    recorded, client = recorder
    recorded.body = {"id": "new", "statusQueryGetUri": "u"}
    assert await client().restart("one") == recorded.body
