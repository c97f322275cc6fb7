"""What `@retry` declares on a function, read as the worker and then the host read it."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from devhost.errors import AppLoadError, FunctionRefused

UNLIMITED = -1


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`most` retries after the first attempt, or UNLIMITED.

    With `longest` the pauses grow from `shortest` to that (exponential_backoff); without, each is `shortest`
    (fixed_delay).
    """

    most: int
    shortest: timedelta
    longest: timedelta | None = None


def read_retry_policy(settings: Mapping[str, Any] | None) -> RetryPolicy | None:
    """The policy in a function's `retry_policy` settings; None without.

    Raises AppLoadError where the worker would fail to index the app, FunctionRefused where the host would
    refuse the function.
    """
    if not settings:
        return None
    strategy = settings.get("strategy")
    try:
        most = int(str(settings.get("max_retry_count")))
        if strategy == "fixed_delay":
            policy = RetryPolicy(most, _span(settings, "delay_interval"))
        elif strategy == "exponential_backoff":
            shortest, longest = _span(settings, "minimum_interval"), _span(settings, "maximum_interval")
            policy = RetryPolicy(most, shortest, longest)
        else:
            raise ValueError(f'unknown enum label "{strategy}" for the retry strategy')
    except ValueError as error:
        raise AppLoadError(f"ValueError: {error}") from None
    if most < UNLIMITED:
        raise FunctionRefused("Specified argument was out of the range of valid values: maxRetryCount.")
    if policy.longest is not None and policy.shortest > policy.longest:
        raise FunctionRefused("The minimumInterval must not be greater than the maximumInterval.")
    return policy


def _span(settings: Mapping[str, Any], name: str) -> timedelta:
    """A `HH:MM:SS` of less than a day, as the worker reads it; not every TimeSpan is one."""
    given = settings.get(name)
    if given is None:
        raise ValueError(f"the retry policy needs {name}")
    parsed = time.strptime(str(given), "%H:%M:%S")
    return timedelta(hours=parsed.tm_hour, minutes=parsed.tm_min, seconds=parsed.tm_sec)
