"""Slots for the requests into each tenant, which all instances of the app share by one row a tenant."""

import asyncio
import heapq
import logging
import random
from collections import OrderedDict
from datetime import datetime, timedelta

from agent.pacing import Block, TenantRate, first_free, first_row, reserve, slot_width
from agent.ports import ChannelBusy, Clock, TenantRates, TenantRatesUnavailable

log = logging.getLogger(__name__)

BLOCK_LASTS = timedelta(seconds=0.5)  # what a process that dies or goes quiet takes from the others
STORAGE_LASTS = timedelta(seconds=1)
ALONE_FOR = timedelta(seconds=5)  # the storage is left alone for so long after it failed
ALONE_SHARE = 1 / 4  # of the limit, for each instance that cannot reach the storage
WARN_EVERY = timedelta(minutes=1)
LONGEST_DEBT = timedelta(seconds=2)  # of slots, for what was sent without
LONGEST_LATENCY = timedelta(seconds=0.25)
LONGEST_JITTER = 0.02  # seconds, doubled with each try
MOST_TENANTS = 1_000
NEVER = timedelta(days=-1)


class TenantSlots:
    """Hands out each slot once. One object a process."""

    def __init__(self, rates: TenantRates, *, requests_per_second: float, clock: Clock) -> None:
        self._rates = rates
        self._limit = float(requests_per_second)
        self._clock = clock
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    async def take(self, tenant_id: str, *, deadline: datetime) -> datetime:
        """Return when it is our time to send, which was this. Raises ChannelBusy if that is too late."""
        return await self._tenant(tenant_id).take(deadline)

    def charge(self, tenant_id: str) -> None:
        """Something was sent without a slot: others are to leave room for it."""
        self._tenant(tenant_id).charge()

    async def slow_down(self, tenant_id: str) -> None:
        """The channel said that too much is sent: all instances are to be slower."""
        await self._tenant(tenant_id).slow_down()

    def _tenant(self, tenant_id: str) -> "_Tenant":
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            if len(self._tenants) >= MOST_TENANTS:
                self._tenants.popitem(last=False)
            tenant = _Tenant(tenant_id, rates=self._rates, limit=self._limit, clock=self._clock)
            self._tenants[tenant_id] = tenant
        else:
            self._tenants.move_to_end(tenant_id)
        return tenant


class _Tenant:
    """What this process knows of one tenant. Who is at the head of the line reserves for all in it."""

    def __init__(self, tenant_id: str, *, rates: TenantRates, limit: float, clock: Clock) -> None:
        self._tenant_id = tenant_id
        self._limit = limit
        self._clock = clock
        self._row = _SharedRow(tenant_id, rates=rates, limit=limit, clock=clock)
        self._line = asyncio.Lock()
        self._in_line = 0
        self._spare: list[datetime] = []  # a heap: slots that are ours, and whom nobody has yet
        self._width = slot_width(limit)
        self._used = self._lost = 0  # of the slots since the last block was reserved
        self._last_slot = clock.now() + NEVER
        self._owed, self._owed_at = 0.0, clock.now()

    def charge(self) -> None:
        self._owe(1)

    async def slow_down(self) -> None:
        await self._row.slow_down()

    async def take(self, deadline: datetime) -> datetime:
        while True:
            slot = await self._next_slot(deadline)
            try:
                while (wait := (slot - self._clock.now()).total_seconds()) > 0:
                    await self._clock.sleep(wait)
            except asyncio.CancelledError:
                heapq.heappush(self._spare, slot)  # another may have it
                raise
            if self._is_usable(slot):
                return slot

    async def _next_slot(self, deadline: datetime) -> datetime:
        self._refuse_after(deadline)
        self._in_line += 1
        try:
            async with self._line:
                while True:
                    while self._spare:
                        slot = heapq.heappop(self._spare)
                        if self._is_usable(slot):
                            self._used += 1
                            return slot
                    await self._reserve(deadline)
        finally:
            self._in_line -= 1

    def _is_usable(self, slot: datetime) -> bool:
        """A slot that was missed by its width is given up: sent late, it would meet the next ones."""
        if self._clock.now() - slot <= self._width:
            return True
        self._lost += 1
        return False

    def _refuse_after(self, deadline: datetime) -> None:
        """Turn away who would have to wait too long, as far as we know; the row is not read for it."""
        if self._in_line <= len(self._spare):
            return
        now = self._clock.now()
        slot = self._row.first_free(now) + self._width * (self._in_line - len(self._spare))
        if slot > deadline:
            raise _busy(slot - now)

    async def _reserve(self, deadline: datetime) -> None:
        wanted = max(self._in_line, self._expected())
        wanted = min(wanted, max(1, int(BLOCK_LASTS / self._width)))
        owed = self._owe(0)
        block = await self._row.reserve(wanted, owed=owed, latest=deadline)
        self._owe(-owed)
        self._used = self._lost = 0
        self._last_slot = block.slots[-1]
        self._width = block.width
        for slot in block.slots:
            heapq.heappush(self._spare, slot)

    def _expected(self) -> int:
        """How many slots will be used, judged by the last block: twice as many if it was used up."""
        if self._clock.now() - self._last_slot > BLOCK_LASTS:
            return 1
        return max(1, self._used if self._lost else 2 * self._used)

    def _owe(self, more: float) -> float:
        """What was sent without slots and is not paid; time pays for it as fast as slots go by."""
        now = self._clock.now()
        left = max(0.0, self._owed - (now - self._owed_at) / self._width)
        self._owed, self._owed_at = min(max(0.0, left + more), LONGEST_DEBT / self._width), now
        return self._owed


class _SharedRow:
    """The tenant's row, kept from the last write, so that a block costs one write where we are alone."""

    def __init__(self, tenant_id: str, *, rates: TenantRates, limit: float, clock: Clock) -> None:
        self._tenant_id = tenant_id
        self._rates = rates
        self._limit = limit
        self._clock = clock
        self._known: TenantRate | None = None
        self._is_shared = False
        self._latency = timedelta(0)
        self._alone = first_row(tenant_id, clock.now() + NEVER, limit=limit * ALONE_SHARE)
        self._alone_until = self._warned_at = clock.now() + NEVER

    def first_free(self, now: datetime) -> datetime:
        known = self._alone if now < self._alone_until else self._known
        return first_free(known, now) if known else now

    async def reserve(self, wanted: int, *, owed: float, latest: datetime) -> Block:
        """Slots that are ours. Raises ChannelBusy where there are none before ``latest``."""
        if self._clock.now() >= self._alone_until:
            try:
                async with asyncio.timeout(STORAGE_LASTS.total_seconds()):
                    return await self._reserve_shared(wanted, owed=owed, latest=latest)
            except (TenantRatesUnavailable, TimeoutError) as error:
                self._go_alone(error)
        block = self._block_of(self._alone, wanted, owed=owed, latest=latest)
        self._alone = block.row
        return block

    async def slow_down(self) -> None:
        if self._clock.now() < self._alone_until:
            return
        try:
            async with asyncio.timeout(STORAGE_LASTS.total_seconds()):
                while True:
                    row = self._known or await self._read()
                    lowered = row.lowered(self._clock.now(), limit=self._limit)
                    if lowered is None or await self._replace(lowered):
                        return
        except (TenantRatesUnavailable, TimeoutError) as error:
            self._go_alone(error)

    async def _reserve_shared(self, wanted: int, *, owed: float, latest: datetime) -> Block:
        known, tries = self._known, 0
        if known and self._is_shared:
            # Others will have moved it, and nobody moves it back: if it is too late now, it stays so.
            self._block_of(known, wanted, owed=owed, latest=latest)
            self._known = None
        while True:
            row = self._known or await self._read()
            self._is_shared = known is not None and row.version != known.version
            block = self._block_of(row, wanted, owed=owed, latest=latest)
            if await self._replace(block.row):
                return block
            tries += 1
            await self._clock.sleep(random.uniform(0, LONGEST_JITTER * 2**tries))  # noqa: S311 - spreads load

    def _block_of(self, row: TenantRate, wanted: int, *, owed: float, latest: datetime) -> Block:
        now = self._clock.now()
        is_alone = row is self._alone
        block = reserve(
            row,
            earliest=now if is_alone else now + self._latency,
            latest=latest,
            wanted=wanted,
            owed=owed,
            limit=self._limit * ALONE_SHARE if is_alone else self._limit,
        )
        if block is None:
            raise _busy(first_free(row, now) - now)
        return block

    async def _read(self) -> TenantRate:
        row = await self._rates.read(self._tenant_id)
        while row is None:
            first = first_row(self._tenant_id, self._clock.now(), limit=self._limit)
            row = await self._rates.insert(first) or await self._rates.read(self._tenant_id)
        self._known = row
        return row

    async def _replace(self, row: TenantRate) -> bool:
        started_at = self._clock.now()
        self._known = None  # until it is known what became of it
        self._known = await self._rates.replace(row)
        took = self._clock.now() - started_at
        self._latency = min(max(took, self._latency * 0.9), LONGEST_LATENCY)
        return self._known is not None

    def _go_alone(self, error: Exception) -> None:
        """The storage does not answer: send on, at a share that is small enough for several instances."""
        now = self._clock.now()
        self._known = None
        self._alone_until = now + ALONE_FOR
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning(
                "The shared limit of tenant %s cannot be had (%s): this instance sends at a quarter of it",
                self._tenant_id,
                type(error).__name__,
            )


def _busy(wait: timedelta) -> ChannelBusy:
    return ChannelBusy("the tenant's limit is used up", retry_after=max(wait, timedelta(seconds=1)))
