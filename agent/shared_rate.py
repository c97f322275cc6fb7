"""The row of one tenant as one process uses it: blocks of slots for few storage operations, or none."""

import asyncio
import logging
import random
from datetime import datetime, timedelta

import msgspec

from agent.pacing import Block, TenantRate, first_free, first_row, reserve
from agent.ports import Clock, SendPaced, TenantRates, TenantRatesUnavailable

log = logging.getLogger(__name__)

STORAGE_LASTS = timedelta(seconds=1)  # for one operation; what takes longer is no answer
ALONE_FOR = timedelta(seconds=5)  # the storage is left alone for so long after it failed
# Of the limit, for each instance that cannot reach the storage: more than eight together are above it.
ALONE_SHARE = 1 / 8
WARN_EVERY = timedelta(minutes=1)
LONGEST_LATENCY = timedelta(seconds=0.25)
MOST_TRIES = 6  # to move a row that others move at the same time
LONGEST_JITTER = 0.02  # seconds, doubled with each try
LONG_AGO = timedelta(days=-1)
OURS_AFTER = timedelta(seconds=2)  # in which nobody else moved the row


class SharedRate:
    """The tenant's row, kept from the last write, so that a block costs one write where we are alone."""

    def __init__(self, tenant_id: str, *, rates: TenantRates, limit: float, clock: Clock) -> None:
        self._tenant_id = tenant_id
        self._rates = rates
        self._limit = limit
        self._clock = clock
        self._known: TenantRate | None = None
        self._seen: TenantRate | None = None  # the last that was known, which may be old
        self._is_shared = False
        self._others_at = clock.now() + LONG_AGO
        self._latency = timedelta(0)
        self._alone = first_row(tenant_id, clock.now() + LONG_AGO, limit=limit * ALONE_SHARE)
        self._alone_until = self._warned_at = clock.now() + LONG_AGO

    def first_free(self, now: datetime) -> datetime:
        known = self._alone if now < self._alone_until else self._known
        return first_free(known, now) if known else now

    async def reserve(self, wanted: int, *, wanted_if_ours: int, owed: float, latest: datetime) -> Block:
        """Slots that are ours. Raises SendPaced where there are none before ``latest``.

        ``wanted_if_ours``: as many where nobody else sends, so that slots which are not used harm nobody.
        """
        if self._clock.now() >= self._alone_until:
            try:
                return await self._reserve_shared(
                    wanted, wanted_if_ours=wanted_if_ours, owed=owed, latest=latest
                )
            except (TenantRatesUnavailable, TimeoutError) as error:
                self._go_alone(error)
        block = self._block_of(self._alone, wanted, owed=owed, latest=latest)
        self._alone = block.row
        return block

    async def slow_down(self) -> None:
        """The channel said that too much is sent: the row is lowered at once, for all to see.

        Where others move the row each time, it is left to the next that hears it.
        """
        if self._clock.now() < self._alone_until:
            slower = self._alone.lowered(self._clock.now(), limit=self._limit * ALONE_SHARE)
            self._alone = slower or self._alone
            return
        try:
            for tries in range(MOST_TRIES):
                await self._step_aside(tries)
                row = self._known or await self._read()
                lowered = row.lowered(self._clock.now(), limit=self._limit)
                if lowered is None or await self._write(lowered):
                    return
        except (TenantRatesUnavailable, TimeoutError) as error:
            self._go_alone(error)

    async def _reserve_shared(
        self, wanted: int, *, wanted_if_ours: int, owed: float, latest: datetime
    ) -> Block:
        known = self._known
        if known and self._is_shared:
            # Others will have moved it, and nobody moves it back: if it is too late now, it stays so.
            self._block_of(known, wanted, owed=owed, latest=latest)
            self._known = None
        for tries in range(MOST_TRIES):
            await self._step_aside(tries)
            row = self._known or await self._read()
            self._is_shared = known is not None and row.version != known.version
            if row.version and (known is None or self._is_shared):
                self._others_at = self._clock.now()
            is_ours = self._clock.now() - self._others_at > OURS_AFTER
            block = self._block_of(row, wanted_if_ours if is_ours else wanted, owed=owed, latest=latest)
            if await self._write(block.row):
                return block
            known = row
            wanted *= 2  # who gets through seldom takes more, so that all have to try less often
        raise SendPaced(
            "other instances reserve slots of this tenant at the same time",
            retry_after=timedelta(seconds=random.uniform(1, 2)),  # noqa: S311 - spreads load
        )

    async def _step_aside(self, tries: int) -> None:
        """Let others write, who were faster so many times."""
        if tries:
            await self._clock.sleep(random.uniform(0, LONGEST_JITTER * 2**tries))  # noqa: S311 - spreads load

    def _block_of(self, row: TenantRate, wanted: int, *, owed: float, latest: datetime) -> Block:
        now = self._clock.now()
        is_alone = row is self._alone
        earliest = now if is_alone else now + self._latency
        block = reserve(
            row,
            earliest=earliest,
            latest=max(latest, earliest),  # who waited for us alone until then is not refused a free slot
            wanted=wanted,
            owed=owed,
            limit=self._limit * ALONE_SHARE if is_alone else self._limit,
        )
        if block is None:
            raise tenant_busy(first_free(row, now) - now)
        return block

    async def _read(self) -> TenantRate:
        """The row as it is, or as it will be when it is written for the first time.

        To try an insert first would save the read once in a tenant's life, and cost one operation more
        each time that a process meets a tenant.
        """
        async with asyncio.timeout(STORAGE_LASTS.total_seconds()):
            row = await self._rates.read(self._tenant_id)
        if row is None:
            return first_row(self._tenant_id, self._clock.now(), limit=self._limit)
        self._known = self._seen = row
        return row

    async def _write(self, row: TenantRate) -> bool:
        """Whether it is written: nobody else wrote in between."""
        started_at = self._clock.now()
        self._known = None  # until it is known what became of it
        async with asyncio.timeout(STORAGE_LASTS.total_seconds()):
            self._known = await (self._rates.replace(row) if row.version else self._rates.insert(row))
        self._seen = self._known or self._seen
        took = self._clock.now() - started_at
        self._latency = min(max(took, self._latency * 0.9), LONGEST_LATENCY)
        return self._known is not None

    def _go_alone(self, error: Exception) -> None:
        """The storage does not answer: send on, at a share that is small enough for several instances."""
        now = self._clock.now()
        self._known = None
        self._alone_until = now + ALONE_FOR
        if self._seen:  # the channel may have asked to be slower than the setting says
            self._alone = msgspec.structs.replace(
                self._alone, rate=self._seen.rate * ALONE_SHARE, lowered_at=self._seen.lowered_at
            )
            self._seen = None
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            log.warning(
                "The shared limit of tenant %s cannot be had (%s): this instance sends at an eighth of it",
                self._tenant_id,
                type(error).__name__,
            )


def tenant_busy(wait: timedelta) -> SendPaced:
    return SendPaced("the tenant's limit is used up", retry_after=max(wait, timedelta(seconds=1)))
