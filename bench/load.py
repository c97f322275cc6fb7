"""The load generator: closed loops of requests on kept connections, and bursts."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from bench.http_messages import cut, status_of, wants_to_close

LOOK_AGAIN_SECONDS = 0.002
PATIENCE_SECONDS = 30.0  # for requests that are under way when the time is up

NextRequest = Callable[[], bytes]
NextTurn = Callable[[], tuple[str, bytes]]  # the conversation, and the request


def is_success(status: int) -> bool:
    return 200 <= status < 300


class Load(msgspec.Struct, frozen=True):
    """What a closed loop measured, until its last answer."""

    seconds: float
    latencies: list[float]
    failures: int

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds


class Taken(msgspec.Struct, frozen=True):
    """One turn and its answer; both times are monotonic. ``status`` is 0 where no answer came."""

    conversation_id: str
    asked_at: float
    answered_at: float
    status: int

    @property
    def is_acknowledged(self) -> bool:
        return is_success(self.status)


class Burst(msgspec.Struct, frozen=True):
    """When a burst began (monotonic), how long until its last answer, and how many had none or no success."""

    began: float
    seconds: float
    failures: int


class Caller(asyncio.Protocol):
    """One kept connection, one request at a time; ``answered`` is called with each answer's status, which is
    0 where the connection was lost before one came."""

    def __init__(self, answered: Callable[["Caller", int], None]) -> None:
        self._answered = answered
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self.sent_at = 0.0
        self.asked_at = 0.0  # the same moment by the clock that other processes share
        self.is_kept = True
        self._is_waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes) -> None:
        assert self._transport
        self.sent_at = time.perf_counter()
        self.asked_at = time.monotonic()
        self._is_waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        message = cut(self._received)
        if message is None:
            return
        head, _, self._received = message
        self.is_kept = not wants_to_close(head)
        self._is_waiting = False
        self._answered(self, status_of(head))

    def connection_lost(self, _: Exception | None) -> None:
        self.is_kept = False
        if self._is_waiting:
            self._is_waiting = False
            self._answered(self, 0)

    def close(self) -> None:
        self._is_waiting = False
        if self._transport:
            self._transport.close()


async def connect(port: int, count: int, answered: Callable[[Caller, int], None]) -> list[Caller]:
    """Open connections, one after the other, so that none waits in the listener's queue."""
    loop = asyncio.get_running_loop()
    return [
        (await loop.create_connection(lambda: Caller(answered), "127.0.0.1", port))[1] for _ in range(count)
    ]


async def closed_loop(port: int, next_request: NextRequest, *, concurrency: int, seconds: float) -> Load:
    """Keep ``concurrency`` requests under way for ``seconds``; then wait until the last are answered.

    Those last ones count, and so does the time until they are answered: a program that needs seconds for
    each of 64 answers has a rate too.
    """
    latencies: list[float] = []
    failures = 0
    under_way = 0
    all_answered = asyncio.Event()

    def answered(caller: Caller, status: int) -> None:
        nonlocal failures, under_way
        now = time.perf_counter()
        latencies.append(now - caller.sent_at)
        failures += not is_success(status)
        if now < ends and caller.is_kept:
            caller.ask(next_request())
            return
        under_way -= 1
        if under_way == 0:
            all_answered.set()

    callers = await connect(port, concurrency, answered)
    started = time.perf_counter()
    ends = started + seconds
    under_way = concurrency
    for caller in callers:
        caller.ask(next_request())
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            await all_answered.wait()
    elapsed = time.perf_counter() - started
    for caller in callers:
        caller.close()
    return Load(elapsed, latencies, failures + under_way)


async def turns_taken(
    port: int, next_turn: NextTurn, *, concurrency: int, most: int, seconds: float
) -> list[Taken]:
    """Keep ``concurrency`` turns under way, ``most`` in all, for ``seconds``; each with its times.

    Those under way when the time is up are waited for, and told too.
    """
    taken: list[Taken] = []
    under_way: dict[Caller, str] = {}
    all_answered = asyncio.Event()
    asked = 0

    def ask(caller: Caller) -> None:
        nonlocal asked
        asked += 1
        under_way[caller], request = next_turn()
        caller.ask(request)

    def answered(caller: Caller, status: int) -> None:
        now = time.monotonic()
        taken.append(Taken(under_way.pop(caller), caller.asked_at, now, status))
        if now < ends and asked < most and caller.is_kept:
            ask(caller)
        elif not under_way:
            all_answered.set()

    callers = await connect(port, min(concurrency, most), answered)
    ends = time.monotonic() + seconds
    for caller in callers:
        ask(caller)
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds + PATIENCE_SECONDS):
            await all_answered.wait()
    now = time.monotonic()
    taken += [Taken(key, caller.asked_at, now, 0) for caller, key in under_way.items()]
    for caller in callers:
        caller.close()
    return taken


async def first_answer(port: int, next_request: NextRequest, *, gives_up: Callable[[], bool]) -> bool:
    """Ask until a program that is just starting answers with success; False when it was given up."""
    while not gives_up():
        with suppress(OSError, TimeoutError):  # it does not listen yet, or takes its time
            if is_success(await _status(port, next_request())):
                return True
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return False


async def _status(port: int, request: bytes) -> int:
    """The status of the answer to one request on a connection of its own."""
    status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def answered(_: Caller, code: int) -> None:
        if not status.done():
            status.set_result(code)

    [caller] = await connect(port, 1, answered)
    caller.ask(request)
    try:
        return await asyncio.wait_for(status, PATIENCE_SECONDS)
    finally:
        caller.close()


async def burst(port: int, next_request: NextRequest, *, size: int) -> Burst:
    """Ask ``size`` times at once and wait for all answers."""
    failures = 0
    waited_for = size
    all_answered = asyncio.Event()

    def answered(_: Caller, status: int) -> None:
        nonlocal failures, waited_for
        failures += not is_success(status)
        waited_for -= 1
        if waited_for == 0:
            all_answered.set()

    callers = await connect(port, size, answered)
    began = time.monotonic()
    for caller in callers:
        caller.ask(next_request())
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await all_answered.wait()
    seconds = time.monotonic() - began
    for caller in callers:
        caller.close()
    return Burst(began, seconds, failures + waited_for)
