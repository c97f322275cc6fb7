"""How many follow-ups and cards of a tenant a process has at work; the others wait, in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MOST_AT_WORK = 16


class TenantDoors:
    """One object a process.

    Of hundreds at work at once, each makes the event loop turn slower for all: then none is in time for its
    slot in the tenant's limit, all are told to come back, and nothing is sent. Who waits here costs nothing.
    """

    def __init__(self) -> None:
        self._doors: dict[str, _Door] = {}

    def __len__(self) -> int:
        return len(self._doors)

    @asynccontextmanager
    async def through(self, tenant_id: str | None) -> AsyncIterator[None]:
        if not tenant_id:  # the Playground and Direct Line have none, and no limit
            yield
            return
        door = self._doors.setdefault(tenant_id, _Door())
        door.users += 1
        try:
            async with door.room:
                yield
        finally:
            door.users -= 1
            if not door.users:
                del self._doors[tenant_id]


class _Door:
    def __init__(self) -> None:
        self.room = asyncio.Semaphore(MOST_AT_WORK)
        self.users = 0
