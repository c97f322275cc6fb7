"""How fast we may send: sliding windows for one conversation, spaced slots for one tenant. Decisions only."""

from array import array
from bisect import bisect_right
from datetime import datetime, timedelta

import msgspec

# Slots are a little further apart than the limit asks: what is late on its way must not bunch above it.
USED_SHARE = 0.95
SLOWEST = 1.0  # requests a second, however often the channel says that it is too much
SLOWER = 0.7
LOWERED_AT_MOST_EVERY = timedelta(seconds=1)
FASTER_BY_ONE_EVERY = timedelta(seconds=5)
# Nobody reserves so far ahead: such a row was written by a clock that is wrong, and is not waited for.
FURTHEST_AHEAD = timedelta(seconds=10)
BLOCK_LASTS = timedelta(seconds=0.5)  # what a process that dies or goes quiet takes from the others

Limits = tuple[tuple[int, float], ...]  # at most so many, in so many seconds


class SlidingWindows:
    """When something was sent, and so when something may be sent again. Times are seconds of one clock."""

    __slots__ = ("_limits", "_most", "_times")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._most = max((sends for sends, _ in limits), default=0)
        self._times = array("d")

    def wait(self, now: float, *, ahead: int = 0) -> float:
        """Seconds until one more may be sent; at least so many, if ``ahead`` others go first."""
        times, longest = self._times, 0.0
        for sends, seconds in self._limits:
            rounds, others = divmod(ahead, sends)
            back = sends - others
            wait = times[-back] + seconds - now if len(times) >= back else 0.0
            if wait > seconds:  # the clock was set back: what is remembered tells nothing any more
                del times[:]
                return 0.0
            longest = max(longest, max(wait, 0.0) + rounds * seconds)
        return longest

    def count(self, at: float) -> None:
        """Something was sent, at this time or shortly before."""
        self._times.append(at)
        if len(self._times) > self._most:
            del self._times[0]

    def forget_before(self, cutoff: float) -> None:
        del self._times[: bisect_right(self._times, cutoff)]

    def __len__(self) -> int:
        return len(self._times)


class TenantRate(msgspec.Struct, frozen=True, kw_only=True):
    """How fast all instances together send into one tenant.

    ``next_slot_at``: the first moment that nobody has reserved.
    ``rate``: requests a second, as they were when the channel last said that it is too much.
    ``lowered_at``: when that was; since then the rate recovers.
    ``version``: the store's own mark of the row's state.
    """

    tenant_id: str
    next_slot_at: datetime
    rate: float
    lowered_at: datetime
    version: str = ""

    def rate_at(self, now: datetime, *, limit: float) -> float:
        """Requests a second that are allowed now, ``limit`` at most."""
        return min(limit, self.rate + max((now - self.lowered_at) / FASTER_BY_ONE_EVERY, 0.0))

    def lowered(self, now: datetime, *, limit: float) -> "TenantRate | None":
        """The row after the channel said that it is too much; None if it was lowered just now."""
        if timedelta(0) <= now - self.lowered_at < LOWERED_AT_MOST_EVERY:
            return None
        slower = max(SLOWEST, self.rate_at(now, limit=limit) * SLOWER)
        return msgspec.structs.replace(self, rate=slower, lowered_at=now)


class Block(msgspec.Struct, frozen=True):
    """Slots that one process reserved: what the row says after it, and when each slot is."""

    row: TenantRate
    slots: tuple[datetime, ...]
    width: timedelta


def first_row(tenant_id: str, now: datetime, *, limit: float) -> TenantRate:
    return TenantRate(
        tenant_id=tenant_id, next_slot_at=now, rate=limit, lowered_at=now - 2 * LOWERED_AT_MOST_EVERY
    )


def slot_width(rate: float) -> timedelta:
    """From one slot to the next."""
    return timedelta(seconds=1 / (rate * USED_SHARE))


def first_free(row: TenantRate, earliest: datetime) -> datetime:
    """The next slot that nobody has reserved, not before ``earliest``: slots that went by are lost."""
    is_free = row.next_slot_at < earliest or row.next_slot_at > earliest + FURTHEST_AHEAD
    return earliest if is_free else row.next_slot_at


def reserve(
    row: TenantRate, *, earliest: datetime, latest: datetime, wanted: int, owed: float, limit: float
) -> Block | None:
    """``wanted`` slots from ``earliest`` on, BLOCK_LASTS at most; None if the first is after ``latest``.

    The others may be later: a block that ends at ``latest`` would cost the storage as much as a whole one,
    and more often, just when there is too much to do.
    ``owed`` is what was sent without a slot: so much is left free after the slots, but no more than what
    would be taken for a wrong clock.
    """
    start = first_free(row, earliest)
    if start > latest:
        return None
    width = slot_width(row.rate_at(earliest, limit=limit))
    count = min(wanted, max(1, BLOCK_LASTS // width))
    next_slot_at = min(start + width * (count + owed), earliest + FURTHEST_AHEAD)
    moved = msgspec.structs.replace(row, next_slot_at=next_slot_at)
    return Block(moved, tuple(start + width * number for number in range(count)), width)
