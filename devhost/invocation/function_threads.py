"""The threads in which synchronous functions run."""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class FunctionThreads:
    """A pool of PYTHON_THREADPOOL_THREAD_COUNT threads, or of as many as Python finds right.

    A thread whose caller has given up (its function ran over its time) hangs until the function returns; it
    cannot be killed. `exhausted` is set when every thread hangs: no synchronous function can run any more.
    """

    def __init__(self) -> None:
        setting = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT", "")
        usual = min(32, (os.cpu_count() or 1) + 4)
        self._most = int(setting) if setting.isdigit() and int(setting) else usual
        self._pool = ThreadPoolExecutor(self._most, "function")
        self._lock = threading.Lock()
        self._hanging = 0
        self.exhausted = asyncio.Event()

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in a thread and return what it returns; when cancelled, leave the thread behind."""
        run = _Run()

        def work() -> T:
            with self._lock:
                run.is_running = True
            try:
                return call()
            finally:
                with self._lock:
                    run.is_running = False
                    self._hanging -= run.is_left

        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except asyncio.CancelledError:
            with self._lock:
                run.is_left = run.is_running
                self._hanging += run.is_left
                if self._hanging >= self._most:
                    self.exhausted.set()
            raise


class _Run:
    """Where one call is: in its thread, and without anyone who waits for it."""

    __slots__ = ("is_left", "is_running")

    def __init__(self) -> None:
        self.is_running = self.is_left = False
