"""The app while its histories are recorded: on devhost, with Azurite and a test connector."""

import asyncio
import json
import re
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from adapters.storage_account import account_of
from adapters.table_orders import LAST_NUMBER, ORDERS
from adapters.tables import Tables
from agent.approval import Given, approval_id_of
from devhost.durable.history import Event, Status
from local.azurite import start_azurite, wait_for_azurite
from local.callback import callback_url
from local.functions_host import functions_url, start_functions_host, wait_for_functions_host
from local.ports import LOOPBACK, Ports
from local.processes import StackError
from local.settings_file import EXAMPLE_FILE, values_of
from testconnector.server import ScriptedConnector, running

UNTIL_SECONDS = 200.0
POLL_SECONDS = 0.2
# What devhost loads: the app with the kinds of job that a recording needs.
RECORDING_APP = Path("tests", "unit", "orchestrators", "recording_app")
SERVICE_URL = "https://smba.example/teams/"
# Long enough for what is to happen in a wait, and no longer.
ORDER_TIMES = {"OrderWaitSeconds": "10", "OrderDeliverySeconds": "45"}
PATH_OF_A_PACKAGE = re.compile(r"/[^\s\"\\]*?/(site-packages|python3\.\d+)/")


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """What the task hub holds of a job at one moment."""

    job_id: str
    orchestrator: str
    status: Status
    shown: dict[str, Any]
    history: list[Event]

    @property
    def step(self) -> str:
        return str(self.shown.get("step"))

    @property
    def percent(self) -> int | None:
        progress = self.shown.get("progress") or {}
        percent: int | None = progress.get("percent")
        return percent


class RecordedApp:
    """One running app. Each user has one job; their number is their name."""

    def __init__(
        self, app: Path, *, hub: Path, ports: Ports, storage: str, connector: ScriptedConnector
    ) -> None:
        self._app = app
        self._hub = hub
        self._ports = ports
        self._storage = storage
        self.connector = connector

    async def say(self, text: str, *, user: int) -> None:
        """Let the user say this to the agent, in a personal chat in a tenant of their own."""
        await self._deliver(self._turn(text, user))

    async def answer(self, job_id: str, answer: Given, *, user: int) -> None:
        """Let the user, who was asked, press a button of the question."""
        turn = self._turn("", user)
        del turn["text"]
        pressed = {"id": approval_id_of(job_id), "answer": answer}
        await self._deliver({**turn, "value": {"approval": pressed}})

    def stop_stream(self, *, user: int) -> None:
        """Let the user press Stop below the stream."""
        if not self.connector.api.streams.cancel(self._turn("", user)["conversation"]["id"]):
            raise StackError(f"Nothing is streamed to user {user}")

    def when_told(self, text: str, effect: dict[str, Any], *, user: int) -> None:
        """Let the channel do this, once, when the agent says something with ``text`` to the user."""
        match = {"text": text, "conversation": self._turn("", user)["conversation"]["id"]}
        self.connector.faults.add({"match": match, "effect": effect, "times": 1})

    async def report_completed(self, job_id: str) -> None:
        settings = values_of(self._app / EXAMPLE_FILE.name)
        await self._post(callback_url(job_id, "completed", ports=self._ports, settings=settings))

    async def wake(self, job_id: str) -> None:
        """Raise ``completed`` without a report, by the management API."""
        base = f"{functions_url(self._ports)}/runtime/webhooks/durabletask/instances"
        await self._post(f"{base}/{job_id}/raiseEvent/completed", "null")

    async def break_new_orders(self) -> None:
        """Let the order service fail at each new order."""
        tables = Tables(account_of(self._storage))
        try:
            table = await tables.table(ORDERS)
            await table.upsert(LAST_NUMBER, {"broken": True})
        finally:
            await tables.close()

    async def until(self, user: int, condition: Callable[[Snapshot], bool]) -> Snapshot:
        """The user's job, as soon as it is so. Raises StackError."""
        deadline = time.monotonic() + UNTIL_SECONDS
        while True:
            found = self._snapshot(_guid("a", user))
            if found and condition(found):
                return found
            if time.monotonic() > deadline:
                raise StackError(f"User {user}'s job did not come so far: {found and found.shown}")
            await asyncio.sleep(POLL_SECONDS)

    def scrubbed(self, history: list[Event]) -> list[Event]:
        """The history without what tells of this machine. Raises StackError where something is left."""
        text = json.dumps(history, ensure_ascii=False).replace(self.connector.url, SERVICE_URL)
        text = PATH_OF_A_PACKAGE.sub(r"\1/", text).replace(f"{self._app}/", "")
        for left in (LOOPBACK, str(Path.home()), sys.prefix, str(self._hub.parent.parent)):
            if f"{left}/" in text or f"{left}:" in text:
                raise StackError(f"The history tells of this machine: {left}")
        events: list[Event] = json.loads(text)
        return events

    def _snapshot(self, user_id: str) -> Snapshot | None:
        with closing(sqlite3.connect(f"file:{self._hub}?mode=ro", uri=True, isolation_level=None)) as db:
            db.execute("BEGIN")  # one state of the hub for both questions
            row = db.execute(
                "SELECT instance_id, name, status, custom_status FROM instances WHERE instr(input, ?)",
                (user_id,),
            ).fetchone()
            if row is None:
                return None
            events = db.execute(
                "SELECT event FROM history WHERE instance_id = ? ORDER BY position", (row[0],)
            ).fetchall()
        return Snapshot(
            job_id=row[0],
            orchestrator=row[1],
            status=Status(row[2]),
            shown=json.loads(row[3] or "{}"),
            history=[json.loads(text) for (text,) in events],
        )

    async def _post(self, url: str, body: str = "{}") -> None:
        headers = {"Content-Type": "application/json"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data=body) as answer,
        ):
            answer.raise_for_status()

    def _turn(self, text: str, user: int) -> dict[str, Any]:
        return self.connector.turn(text, user=_guid("a", user), tenant_id=_guid("b", user))

    async def _deliver(self, turn: dict[str, Any]) -> None:
        (answer,) = await self.connector.deliver(turn, to=f"{functions_url(self._ports)}/api/messages")
        if answer.status != 200:
            raise StackError(f"The turn was answered {answer.status}: {answer.body}")


def _guid(first: str, number: int) -> str:
    return f"{first}0000000-0000-4000-8000-{number:012}"


@asynccontextmanager
async def recorded_app(app: Path, *, place: Path) -> AsyncIterator[RecordedApp]:
    """The app in this directory, for as long as the context lasts; ``place`` holds its data."""
    ports, logs = Ports.free(), place / "logs"
    azurite = start_azurite(ports, data=place / "azurite", logs=logs, in_memory=True)
    host = None
    try:
        wait_for_azurite(azurite)
        async with running() as connector:
            host = start_functions_host(
                ports,
                script_root=app / RECORDING_APP,
                data=place / "devhost",
                logs=logs,
                settings={
                    **values_of(app / EXAMPLE_FILE.name),
                    **ORDER_TIMES,
                    "AzureWebJobsStorage": azurite.connection_string,
                    "ProactiveServiceUrl": connector.url,
                    "PublicUrl": functions_url(ports),
                },
            )
            await asyncio.to_thread(wait_for_functions_host, host, ports)
            (hub,) = (place / "devhost").glob("*.sqlite")
            yield RecordedApp(
                app, hub=hub, ports=ports, storage=azurite.connection_string, connector=connector
            )
    finally:
        if host is not None:
            host.stop()
        azurite.process.stop()
