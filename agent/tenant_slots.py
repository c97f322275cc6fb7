"""Slots for the requests into each tenant, which all instances of the app share by one row a tenant."""

import asyncio
import heapq
from collections import OrderedDict
from datetime import datetime, timedelta

from agent.pacing import BLOCK_LASTS, slot_width
from agent.ports import Clock, SendPaced, TenantRates
from agent.shared_rate import SharedRate, tenant_busy

LONGEST_DEBT = timedelta(seconds=2)  # of slots, for what was sent without
MOST_TENANTS = 1_000
LONG_AGO = timedelta(days=-1)


class TenantSlots:
    """Hands out each slot once. One object a process."""

    def __init__(self, rates: TenantRates, *, requests_per_second: float, clock: Clock) -> None:
        self._rates = rates
        self._limit = float(requests_per_second)
        self._clock = clock
        self._tenants: OrderedDict[str, _Tenant] = OrderedDict()

    async def take(self, tenant_id: str, *, deadline: datetime) -> datetime:
        """Return when it is our time to send, which was this. Raises SendPaced if that is too late."""
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
        self._row = SharedRate(tenant_id, rates=rates, limit=limit, clock=clock)
        self._line = asyncio.Lock()
        self._in_line = 0
        self._spare: list[datetime] = []  # a heap: slots that are ours, and whom nobody has yet
        self._width = slot_width(limit)
        self._used = self._lost = 0  # of the slots since the last block was reserved
        self._reserved_at = self._last_slot = self._sent_at = clock.now() + LONG_AGO
        self._come_back_at = clock.now() + LONG_AGO  # which the last was told whom we turned away
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
                self._sent_at = self._clock.now()
                return slot

    async def _next_slot(self, deadline: datetime) -> datetime:
        self._refuse_after(deadline)
        self._in_line += 1
        try:
            async with self._line:
                while True:
                    while self._spare:
                        latest = max(deadline, self._clock.now()) + BLOCK_LASTS
                        if self._spare[0] > latest:  # who is behind us may have it
                            raise self._turned_away(self._spare[0])
                        slot = heapq.heappop(self._spare)
                        if self._is_usable(slot):
                            self._used += 1
                            return slot
                    await self._reserve(deadline)
        finally:
            self._in_line -= 1

    def _is_usable(self, slot: datetime) -> bool:
        """A slot that was missed by its width is given up: sent late, it would meet the next ones.

        But for one, however late we are: where the event loop turns slower than slots go by, all would be.
        """
        if self._clock.now() - slot <= self._width or self._sent_at < slot:
            return True
        self._lost += 1
        return False

    def _refuse_after(self, deadline: datetime) -> None:
        """Turn away who would have to wait too long, as far as we know; the row is not read for it."""
        if self._in_line <= len(self._spare):
            return
        now = self._clock.now()
        slot = self._row.first_free(now) + self._width * (self._in_line - len(self._spare))
        if slot > max(deadline, now):
            raise self._turned_away(slot)

    def _turned_away(self, slot: datetime) -> SendPaced:
        """Each is told to come back a slot after the one before: all at once, most would come in vain."""
        self._come_back_at = max(slot, self._come_back_at + slot_width(self._limit))
        return tenant_busy(self._come_back_at - self._clock.now())

    async def _reserve(self, deadline: datetime) -> None:
        wanted = max(self._in_line, self._expected())
        owed = self._owe(0)
        try:
            block = await self._row.reserve(
                wanted, wanted_if_ours=max(wanted, self._used_soon()), owed=owed, latest=deadline
            )
        except SendPaced as paced:
            raise self._turned_away(self._clock.now() + paced.retry_after) from None
        self._owe(-owed)
        self._used = self._lost = 0
        self._reserved_at = self._clock.now()
        self._last_slot = block.slots[-1]
        self._width = block.width
        for slot in block.slots:
            heapq.heappush(self._spare, slot)

    def _expected(self) -> int:
        """How many slots will be used, judged by the last block: twice as many if it was used up."""
        if self._clock.now() - self._last_slot > BLOCK_LASTS:
            return 1
        return max(1, self._used if self._lost else 2 * self._used)

    def _used_soon(self) -> int:
        """As many slots as go by while a block lasts, if more is sent by then at the pace of the last one."""
        is_soon = self._clock.now() - self._reserved_at <= self._used * BLOCK_LASTS
        return BLOCK_LASTS // self._width if is_soon else 1

    def _owe(self, more: float) -> float:
        """What was sent without slots and is not paid; time pays for it as fast as slots go by."""
        now = self._clock.now()
        left = max(0.0, self._owed - (now - self._owed_at) / self._width)
        self._owed, self._owed_at = min(max(0.0, left + more), LONGEST_DEBT / self._width), now
        return self._owed
