"""How many requests are held and answered at once: host.json's limits."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

logger = logging.getLogger("devhost")
UNBOUNDED = -1


class TooManyRequests(Exception):
    """As many requests are held as may be: the caller is answered with 429."""


class RequestLimits:
    """`outstanding`: requests that are held, the running ones included; `concurrent`: those that run."""

    def __init__(self, *, concurrent: int, outstanding: int) -> None:
        self._outstanding = outstanding
        self._held = 0
        self._places = None if concurrent == UNBOUNDED else asyncio.Semaphore(concurrent)
        self.is_none = concurrent == outstanding == UNBOUNDED

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place to run. Raises TooManyRequests."""
        if self._held == self._outstanding:
            logger.info("Http request queue limit of %d has been exceeded.", self._outstanding)
            raise TooManyRequests
        self._held += 1
        try:
            if self._places is None:
                yield
            else:
                async with self._places:
                    yield
        finally:
            self._held -= 1
