"""A connector, whose clock the test moves, and a client without an opinion."""

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from testconnector.options import Options
from testconnector.server import ScriptedConnector, running

CHAT = "a:1chat"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


class Client:
    """Requests as they are asked for, and what comes back."""

    def __init__(self, session: aiohttp.ClientSession, connector: ScriptedConnector) -> None:
        self._session = session
        self._connector = connector

    async def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body and headers of an answer below /teams/v3/conversations."""
        return await self.ask(method, f"/teams/v3/conversations{path}", body, **headers)

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        async with self._session.request(
            method, self._connector.base_url + path, json=body, headers=headers, allow_redirects=False
        ) as response:
            read = await response.read()
            value = await response.json() if read and response.content_type == "application/json" else read
            return response.status, value, dict(response.headers)

    async def send(
        self, text: str, conversation_id: str = CHAT, **more: Any
    ) -> tuple[int, Any, dict[str, str]]:
        body = {"type": "message", "text": text, **more}
        return await self.call("POST", f"/{conversation_id}/activities", body)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def connector(clock: Clock) -> AsyncIterator[ScriptedConnector]:
    async with running(Options(clock=clock)) as connector:
        yield connector


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
def client(session: aiohttp.ClientSession, connector: ScriptedConnector) -> Client:
    return Client(session, connector)
