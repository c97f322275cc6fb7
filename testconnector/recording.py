"""What was sent, in its order: each request with what became of it, as many as memory is meant for."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import Any


class Call:
    """One request to the connector's API, and what it was answered.

    ``at``: seconds of the connector's clock. ``path``: as it was sent, with what is quoted. ``accepted``:
    whether it took effect, whatever was answered. ``status``: None if no answer was given (yet).
    ``fault``: the number of the rule that fired.
    """

    __slots__ = (
        "accepted",
        "activity_id",
        "at",
        "authorization",
        "body",
        "conversation_id",
        "cut_in_body",
        "fault",
        "method",
        "number",
        "operation",
        "path",
        "status",
        "user_agent",
    )

    def __init__(self, *, number: int, at: float, method: str, path: str) -> None:
        self.number = number
        self.at = at
        self.method = method
        self.path = path
        self.operation = "unknown"
        self.conversation_id = ""
        self.authorization: str | None = None
        self.user_agent: str | None = None
        self.body: Any = None
        self.status: int | None = None
        self.activity_id: str | None = None
        self.accepted = False
        self.fault: int | None = None
        self.cut_in_body = False

    def shown(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in sorted(self.__slots__)}


class Recording:
    """The last ``most`` calls, and counts of all."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._watchers: list[tuple[Callable[[Call], bool], asyncio.Future[Call]]] = []
        self._number = 0
        self.clear()

    def clear(self) -> None:
        self.calls: deque[Call] = deque(maxlen=self._most)
        self.accepted = 0
        self.statuses: Counter[str] = Counter()
        self.operations: Counter[str] = Counter()
        self.peak_per_second = 0
        self._last_second: deque[float] = deque()

    def arrive(self, *, at: float, method: str, path: str) -> Call:
        """Begin the record of one request; it is kept from now on."""
        self._number += 1
        call = Call(number=self._number, at=at, method=method, path=path)
        self.calls.append(call)
        arrivals = self._last_second
        arrivals.append(at)
        while arrivals[0] <= at - 1.0:
            arrivals.popleft()
        self.peak_per_second = max(self.peak_per_second, len(arrivals))
        return call

    def understood(self, call: Call) -> None:
        """Its operation, conversation and body are known now."""
        self.operations[call.operation] += 1
        for watcher in self._watchers:
            is_it, found = watcher
            if not found.done() and is_it(call):
                found.set_result(call)

    def ended(self, call: Call, status: int | None) -> None:
        call.status = status
        self.accepted += call.accepted
        self.statuses["no answer" if status is None else str(status)] += 1

    async def next_call(self, is_it: Callable[[Call], bool]) -> Call:
        """Wait for the next request for which that holds; it need not be answered yet."""
        found: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
        watcher = (is_it, found)
        self._watchers.append(watcher)
        try:
            return await found
        finally:
            self._watchers.remove(watcher)
