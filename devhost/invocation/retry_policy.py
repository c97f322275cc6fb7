"""Calls a function again after a failure, as its `@retry` says, within the one trigger that called it."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import timedelta
from typing import Protocol, TypeVar

from devhost.indexing.function_binding import FunctionDefinition
from devhost.indexing.retry_settings import RetryPolicy
from devhost.invocation.invocation_context import RetryContext, RpcException

logger = logging.getLogger("devhost")
_SPREAD = 0.2
_LARGEST_EXPONENT = 40
_SUPPORTED = ("timerTrigger",)
_DURABLE = ("orchestrationTrigger", "activityTrigger", "entityTrigger")


class Outcome(Protocol):
    """What the retries need to know of one attempt."""

    @property
    def succeeded(self) -> bool: ...
    @property
    def error_text(self) -> str: ...
    @property
    def stack(self) -> str: ...


Result = TypeVar("Result", bound=Outcome)


def applied_policy(function: FunctionDefinition) -> RetryPolicy | None:
    """The policy under which a function is called; durable functions have retries of their own kind."""
    return None if function.trigger.type in _DURABLE else function.retry


def retry_warnings(functions: Sequence[FunctionDefinition]) -> list[str]:
    """A line for each function whose trigger does not support `@retry`."""
    lines = []
    for function in functions:
        if function.retry is None or function.trigger.type in _SUPPORTED:
            continue
        if function.trigger.type in _DURABLE:
            lines.append(
                f"The @retry of the durable function '{function.name}' is not applied; "
                "retries of activities and sub-orchestrations are for their caller to ask for."
            )
        else:
            lines.append(
                f"Soon retries will not be supported for function 'Functions.{function.name}'. "
                "For more information, please visit http://aka.ms/func-retry-policies."
            )
    return lines


def pauses(policy: RetryPolicy) -> Iterator[timedelta]:
    """The wait before each retry: constant, or doubling with chance in it; without end."""
    exponent = 0
    pause = policy.shortest
    while policy.longest is not None and pause < policy.longest and exponent < _LARGEST_EXPONENT:
        yield pause
        chance = random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 (chance, not secrecy)
        pause = policy.shortest + policy.shortest * (chance * 2**exponent)
        exponent += 1
    while True:
        yield policy.longest or policy.shortest


async def with_retries(
    policy: RetryPolicy,
    attempt: Callable[[RetryContext], Awaitable[Result]],
    stopping: asyncio.Event,
) -> Result:
    """Attempt until one succeeds, the retries are used up or the host stops; returns the last result."""
    context = RetryContext(0, policy.most)
    for pause in pauses(policy):
        result = await attempt(context)
        if result.succeeded:
            return result
        count = context.retry_count
        if count == policy.most:
            logger.error("Function execution failed after '%d' retries.", count)
            return result
        message = f"Result: Failure\nException: {result.error_text}\nStack: {result.stack}"
        context = RetryContext(count + 1, policy.most, RpcException(message=message))
        logger.info(
            "Waiting for `%s` before retrying function execution. Next attempt: '%d'. Max retry count: '%d'.",
            pause,
            context.retry_count,
            policy.most,
        )
        if await _is_set_within(stopping, pause):
            return result
    raise AssertionError("the pauses have no end")


async def _is_set_within(event: asyncio.Event, span: timedelta) -> bool:
    try:
        async with asyncio.timeout(span.total_seconds()):
            await event.wait()
    except TimeoutError:
        return False
    return True
