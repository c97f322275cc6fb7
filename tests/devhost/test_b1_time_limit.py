"""Contract B1 and B6: functionTimeout, one limit for all runs."""

import asyncio
import threading
import time

import pytest

from devhost.invocation.function_threads import FunctionThreads
from devhost.invocation.time_limit import TimeLimit


async def limited(limit: TimeLimit, seconds: float) -> str:
    run = limit.begin()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if run is not None and run.expired:
            return "expired"
        raise
    finally:
        limit.end(run)
    return "ended"


async def test_runs_that_are_over_are_left_alone_and_the_others_expire_in_their_time() -> None:
    limit = TimeLimit(0.1)
    began = time.monotonic()
    first = asyncio.create_task(limited(limit, 60))
    short = asyncio.create_task(limited(limit, 0))
    await asyncio.sleep(0.05)
    second = asyncio.create_task(limited(limit, 60))
    assert [await first, await short, await second] == ["expired", "ended", "expired"]
    assert 0.15 <= time.monotonic() - began < 5
    assert (first.cancelling(), second.cancelling()) == (0, 0)
    assert await limited(limit, 0.11) == "expired"


async def test_a_run_within_its_time_is_never_cancelled_by_the_timer_of_an_earlier_one() -> None:
    limit = TimeLimit(0.05)
    for _ in range(3):
        assert await limited(limit, 0.03) == "ended"


async def test_without_a_limit_nothing_expires() -> None:
    assert await limited(TimeLimit(None), 0.01) == "ended"


async def test_who_cancels_a_run_is_not_told_of_a_limit() -> None:
    task = asyncio.create_task(limited(TimeLimit(60), 60))
    await asyncio.sleep(0)
    task.cancel()
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    assert isinstance(outcome, asyncio.CancelledError)


async def test_a_thread_that_came_back_hangs_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "2")
    threads = FunctionThreads()
    for is_last in (False, True):
        begun, go_on = threading.Event(), threading.Event()

        def hang(begun: threading.Event = begun, go_on: threading.Event = go_on) -> None:
            begun.set()
            go_on.wait(10)

        left = asyncio.create_task(threads.run(hang))
        await asyncio.to_thread(begun.wait, 10)
        left.cancel()
        await asyncio.wait([left])
        assert not threads.exhausted.is_set(), "one of two hangs"
        if is_last:
            break
        go_on.set()
        both = threading.Barrier(2)  # it takes both threads, so the one that hung is back
        await asyncio.gather(threads.run(both.wait), threads.run(both.wait))
    go_on.set()
