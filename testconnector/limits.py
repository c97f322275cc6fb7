"""Teams' rate limits, where they are asked for (Teams documentation, "Rate limiting", values of 2026)."""

import math
from collections import OrderedDict, deque
from dataclasses import dataclass

from testconnector.answers import Answer, named_error

Windows = tuple[tuple[int, float], ...]  # so many within so many seconds


@dataclass(frozen=True, kw_only=True)
class RateLimits:
    """What one bot may do. The defaults are Teams' own."""

    sends: Windows = ((7, 1), (8, 2), (60, 30), (1800, 3600))  # in one thread
    reads: Windows = ((14, 1), (16, 2), (120, 30), (3600, 3600))  # in one thread
    tenant: Windows = ((50, 1),)
    message_bytes: int = 100 * 1024  # of UTF-16


class _Sliding:
    """The times of what was let through lately."""

    __slots__ = ("times", "windows")

    def __init__(self, windows: Windows) -> None:
        self.windows = windows
        self.times: deque[float] = deque(maxlen=max(most for most, _ in windows))

    def wait(self, now: float) -> float:
        """Seconds until the next one may come; 0 if it may come now."""
        times = self.times
        waits = [
            times[-most] + seconds - now
            for most, seconds in self.windows
            if len(times) >= most and times[-most] > now - seconds
        ]
        return max(waits, default=0.0)


class RateLimiter:
    """Counts what is let through, by thread and by tenant; what is refused does not count."""

    def __init__(self, limits: RateLimits, *, most_threads: int) -> None:
        self._limits = limits
        self._most = most_threads
        self._kept: OrderedDict[tuple[str, str], _Sliding] = OrderedDict()
        self.refused = 0

    def refusal(
        self, *, thread_id: str, tenant_id: str, is_read: bool, in_thread: bool, now: float
    ) -> Answer | None:
        """429 if it is too much, else None and it counts."""
        asked = [self._sliding(("tenant", tenant_id), self._limits.tenant)]
        if in_thread:
            kind, windows = ("read", self._limits.reads) if is_read else ("send", self._limits.sends)
            asked.append(self._sliding((kind, thread_id), windows))
        wait = max(sliding.wait(now) for sliding in asked)
        if wait > 0:
            self.refused += 1
            return named_error("Throttled", headers={"Retry-After": str(math.ceil(wait))})
        for sliding in asked:
            sliding.times.append(now)
        return None

    def too_large(self, body: bytes) -> Answer | None:
        if 2 * len(body.decode("utf-8", "replace")) > self._limits.message_bytes:
            return named_error("MessageSizeTooBig")
        return None

    def _sliding(self, key: tuple[str, str], windows: Windows) -> _Sliding:
        kept = self._kept.get(key)
        if kept is None:
            if len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            kept = self._kept[key] = _Sliding(windows)
        else:
            self._kept.move_to_end(key)
        return kept
