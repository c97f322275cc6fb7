"""The one host of a crash run: started, killed at a random moment, and started again."""

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.crash.evidence import Kill
from tests.crash.hub_inspection import load_of
from tests.devhost.host_process import DevhostProcess, free_port

APP = Path(__file__).parent / "app"
START_SECONDS = 60.0
LONGEST_LIFE = 2.0  # seconds from the first answer to the kill
EARLY_DEATHS = 0.2  # the share of hosts that are killed before they answer


class Host:
    """All its processes share a port, a directory and a log."""

    def __init__(
        self, place: Path, session: aiohttp.ClientSession, storage: str, dice: random.Random
    ) -> None:
        self._place, self._session, self._dice = place, session, dice
        self._environment = {
            "AzureWebJobsStorage": storage,
            "DEVHOST_QUEUE_LEASE": "00:00:03",  # a killed host's message is another's soon
        }
        self._port = free_port()
        self._process: DevhostProcess | None = None
        self._usual_start = 1.0  # seconds from the start to the first answer
        self.kills: list[Kill] = []
        self.exits: list[int] = []

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def hub(self) -> Path:
        return self._place / "data" / "Crash.sqlite"

    @property
    def notes(self) -> Path:
        return self._place / "notes"

    @property
    def log(self) -> Path:
        return self._place / "log"

    def start(self) -> None:
        self._process = DevhostProcess(APP, self._place, port=self._port, environment=self._environment)

    async def live_and_die(self) -> None:
        """Start, serve a random while, or less than it takes to start, and be killed with -9."""
        began = time.monotonic()
        self.start()
        if self._dice.random() < EARLY_DEATHS:
            await asyncio.sleep(self._dice.uniform(0, self._usual_start))
        else:
            await self.until_up()
            self._usual_start = time.monotonic() - began
            await asyncio.sleep(self._dice.uniform(0, LONGEST_LIFE))
        was_up = await self.is_up()
        self._kill()
        load = load_of(self.hub, self._place / "spare")
        self.kills.append(Kill(after=time.monotonic() - began, was_up=was_up, load=load))

    def _kill(self) -> None:
        assert self._process is not None
        code = self._process.process.poll()
        if code is not None:
            self.exits.append(code)
        self._process.kill()

    async def until_up(self) -> None:
        """Wait for the first answer. Raises TimeoutError, and AssertionError when the process has ended."""
        assert self._process is not None
        async with asyncio.timeout(START_SECONDS):
            while not await self.is_up():
                assert self._process.process.poll() is None, f"the host ended, see {self.log}"
                await asyncio.sleep(0.03)

    async def is_up(self) -> bool:
        """Whether it answers now."""
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._session.get(f"{self.base}/admin/host/ping") as answer:
                return answer.status == 200
        return False

    def stop(self) -> None:
        """Ask the last process to stop, and note an exit code that is not 0."""
        if self._process is not None and (code := self._process.stop()) not in (0, -9):
            self.exits.append(code)

    def complaints(self) -> list[str]:
        """Lines of the log that tell of trouble in the host itself."""
        words = (
            "failed in the host",
            "is lost",
            "Non-Deterministic",
            "sqlite3.",
            "be looked at",
            "stays Run",
        )
        lines = self.log.read_text("utf-8", "replace").splitlines()
        return [line for line in lines if any(word in line for word in words)]
