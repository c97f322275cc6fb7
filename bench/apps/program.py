"""What all programs under test share: where the stub is, the two ways to be run, and the loop of sends."""

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import requests

STUB = os.environ["BENCH_STUB"]  # the stub's base URL
PORT = int(os.environ["BENCH_PORT"])
SERVICE_URL = f"{STUB}/teams/"
LOGIN_HOSTS = ("https://login.microsoftonline.com/", "https://login.botframework.com/")
IS_SIGNED = os.environ["BENCH_TOKENS"] == "on"  # else no side has a token, and none asks for one
WARM_UP = 8  # sends before the measurement: connections, tokens, imports

Send = Callable[[int], Awaitable[object]]


def redirected(url: str) -> str:
    """The stub's URL for one of Entra's or of the channel's token issuer, another one as it is."""
    return f"{STUB}/{url.removeprefix('https://')}" if url.startswith(LOGIN_HOSTS) else url


@cache
def redirect_logins() -> None:
    """Send what msal and the token validators fetch to the stub.

    msal takes https authorities only, and the peers build their HTTP clients themselves; so the redirection
    stands where a request leaves the process. It costs every program the same microsecond.
    """
    send, open_url = requests.Session.send, urllib.request.OpenerDirector.open

    def send_to_stub(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        request.url = redirected(request.url or "")
        return send(session, request, **options)

    def open_at_stub(
        opener: urllib.request.OpenerDirector, request: Any, *arguments: Any, **options: Any
    ) -> Any:
        if isinstance(request, str):
            request = redirected(request)
        else:
            request.full_url = redirected(request.full_url)
        return open_url(opener, request, *arguments, **options)

    requests.Session.send = send_to_stub  # type: ignore[assignment, method-assign]
    urllib.request.OpenerDirector.open = open_at_stub  # type: ignore[assignment, method-assign]


def run(*, serve: Callable[[], Awaitable[None]] | None, sender: Callable[[], Awaitable[Send]]) -> None:
    """The command line of a program: `serve`, or `send CONCURRENCY MOST SECONDS`."""
    redirect_logins()
    if sys.argv[1] == "serve" and serve:
        asyncio.run(_for_ever(serve))
    else:
        concurrency, most, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
        asyncio.run(_send_all(sender, concurrency=concurrency, most=most, seconds=seconds))


async def _for_ever(serve: Callable[[], Awaitable[None]]) -> None:
    await serve()
    await asyncio.Event().wait()


async def _send_all(
    sender: Callable[[], Awaitable[Send]], *, concurrency: int, most: int, seconds: float
) -> None:
    """Send ``most`` messages, or for ``seconds``; what was measured goes to the standard output as JSON.

    The one who started us sets the stub back between the warm-up and the measurement.
    """
    send = await sender()
    await asyncio.gather(*(send(number) for number in range(WARM_UP)))
    _say({"ready": True})
    await asyncio.to_thread(sys.stdin.readline)
    numbers = iter(range(WARM_UP, WARM_UP + most))
    latencies: list[float] = []
    started, cpu_started = time.perf_counter(), time.process_time()
    ends = started + seconds

    async def one_after_another() -> None:
        for number in numbers:
            before = time.perf_counter()
            if before >= ends:
                return
            await send(number)
            latencies.append(time.perf_counter() - before)

    await asyncio.gather(*(one_after_another() for _ in range(concurrency)))
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    _say({"sent": len(latencies), "elapsed": elapsed, "cpu": cpu, "latencies": latencies})
    # Open clients of the peers would complain at the end; nobody waits for them.
    os._exit(0)


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)
