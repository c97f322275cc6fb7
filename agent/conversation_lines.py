"""One request at a time in each conversation, in the order of arrival, and no more than its limits."""

import asyncio
from collections import OrderedDict
from datetime import datetime, timedelta

from agent.pacing import Limits, SlidingWindows
from agent.ports import Clock, SendPaced

# What is dropped above this forgets what it has sent; the channel itself is then the limit.
MOST_CONVERSATIONS = 10_000
LOOKED_AT_FOR_EACH_NEW_ONE = 2


class Line:
    """What one conversation remembers. ``users``: who is in the line, the one at its head included."""

    __slots__ = ("blocked_until", "lock", "used_at", "users", "windows")

    def __init__(self, limits: Limits) -> None:
        self.lock = asyncio.Lock()
        self.windows = SlidingWindows(limits)
        self.blocked_until = 0.0
        self.used_at = 0.0
        self.users = 0

    def wait(self, now: float, *, ahead: int = 0, is_counted: bool = True) -> float:
        """Seconds until the next request may go; at least so many, if ``ahead`` others go first."""
        window = self.windows.wait(now, ahead=ahead) if is_counted else 0.0
        return max(window, self.blocked_until - now)


class ConversationLines:
    """The lines of this process. A conversation that is idle for longer than its limits last is dropped."""

    def __init__(self, limits: Limits, *, clock: Clock, most: int = MOST_CONVERSATIONS) -> None:
        self._limits = limits
        self._longest = max((seconds for _, seconds in limits), default=0.0)
        self._clock = clock
        self._most = most
        self._lines: OrderedDict[str, Line] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lines)

    async def enter(
        self, conversation_id: str, *, now: datetime, deadline: datetime, is_counted: bool
    ) -> Line:
        """Wait for our turn; the caller leaves the line when the request is answered.

        Raises SendPaced where our turn is not before ``deadline``.
        """
        arrived, last = now.timestamp(), deadline.timestamp()
        line = self._line_of(conversation_id, arrived)
        wait = line.wait(arrived, ahead=line.users, is_counted=is_counted)
        _refuse_after(last, arrived, wait)
        line.users += 1
        if line.users == 1 and wait <= 0:
            await line.lock.acquire()  # nobody has it, so this does not wait
            return line
        try:
            await self._reach_head(line, last)
        except BaseException:  # also when it is cancelled: the line goes on without it
            line.users -= 1
            raise
        try:
            while (wait := line.wait(self._now(), is_counted=is_counted)) > 0:
                _refuse_after(last, self._now(), wait)
                await self._clock.sleep(wait)
        except BaseException:  # likewise
            self.leave(line)
            raise
        return line

    def leave(self, line: Line) -> None:
        line.users -= 1
        line.lock.release()

    def count(self, line: Line) -> None:
        """A request was answered: it counts from now, for it may have arrived as late as that."""
        line.windows.count(self._now())

    def block(self, line: Line, wait: timedelta) -> None:
        line.blocked_until = max(line.blocked_until, self._now() + wait.total_seconds())

    async def _reach_head(self, line: Line, deadline: float) -> None:
        try:
            async with asyncio.timeout(deadline - self._now()):
                await line.lock.acquire()
        except TimeoutError:
            wait = max(line.wait(self._now()), 1.0)
            raise SendPaced(
                "many requests wait for this conversation", retry_after=timedelta(seconds=wait)
            ) from None

    def _line_of(self, conversation_id: str, now: float) -> Line:
        line = self._lines.get(conversation_id)
        if line is None:
            self._drop_idle(now)
            line = self._lines[conversation_id] = Line(self._limits)
        else:
            self._lines.move_to_end(conversation_id)
        line.used_at = now
        return line

    def _drop_idle(self, now: float) -> None:
        """Make room for one: drop the longest unused that are old, or too many; none that is in use."""
        for _ in range(LOOKED_AT_FOR_EACH_NEW_ONE):
            if not self._lines:
                return
            conversation_id, line = next(iter(self._lines.items()))
            is_old = now - line.used_at > self._longest and line.blocked_until <= now
            if line.users:
                self._lines.move_to_end(conversation_id)
            elif is_old or len(self._lines) >= self._most:
                del self._lines[conversation_id]
            else:
                return

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _refuse_after(deadline: float, now: float, wait: float) -> None:
    if wait > 0 and now + wait > deadline:
        raise SendPaced("this conversation has to wait for its limits", retry_after=timedelta(seconds=wait))
