"""What each function has done of late: its last runs, and how many are under way. Kept in memory."""

import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

_KEPT_RUNS = 20
_LONGEST_ERROR = 2000


@dataclass(slots=True)
class Run:
    """One run. `started` is in seconds since 1970; `duration` in seconds, None while it is under way."""

    invocation_id: str
    started: float
    clock: float
    duration: float | None = None
    error: str | None = None


@dataclass(slots=True)
class FunctionRuns:
    """The runs of one function: those under way, the last that ended (newest first), and counts of all."""

    under_way: dict[str, Run] = field(default_factory=dict)
    ended: deque[Run] = field(default_factory=lambda: deque(maxlen=_KEPT_RUNS))
    succeeded: int = 0
    failed: int = 0


class RunLog:
    """Written by the invoker at each call, so it does little."""

    def __init__(self) -> None:
        self._functions: dict[str, FunctionRuns] = {}

    def begin(self, function: str, invocation_id: str) -> Run:
        """Note that a run has begun."""
        run = Run(invocation_id, time.time(), time.monotonic())
        runs = self._functions.get(function)
        if runs is None:
            runs = self._functions[function] = FunctionRuns()
        runs.under_way[invocation_id] = run
        return run

    def end(self, function: str, run: Run, error: str | None) -> float:
        """Note how a run ended, `error` is None when it succeeded; returns its seconds."""
        runs = self._functions[function]
        runs.under_way.pop(run.invocation_id, None)
        run.duration = seconds = time.monotonic() - run.clock
        if error is None:
            runs.succeeded += 1
        else:
            runs.failed += 1
            run.error = error[:_LONGEST_ERROR]
        runs.ended.appendleft(run)
        return seconds

    @property
    def is_idle(self) -> bool:
        """Whether no run is under way."""
        return not any(runs.under_way for runs in self._functions.values())

    def of(self, function: str) -> FunctionRuns:
        """The runs of a function; empty when it has not run."""
        return self._functions.get(function) or FunctionRuns()

    def functions(self) -> Iterable[str]:
        """Names of the functions that have run."""
        return self._functions
