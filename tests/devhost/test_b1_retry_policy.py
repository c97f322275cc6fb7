"""`@retry`: what is taken for a policy, when a function is called again, and what its context then says."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from itertools import islice
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from devhost.errors import AppLoadError, FunctionRefused
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.indexing.retry_settings import RetryPolicy, read_retry_policy
from devhost.invocation.invocation_context import RetryContext
from devhost.invocation.invoker import InvocationResult, Invoker
from devhost.invocation.retry_policy import pauses, retry_warnings
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until

SOON = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)


def define(
    function: Callable[..., Any], policy: RetryPolicy | None, trigger_type: str = "queueTrigger"
) -> FunctionDefinition:
    trigger = Binding("text", trigger_type, "IN", {"queueName": "q"})
    signature = read_signature("f", function, (trigger,))
    is_async = asyncio.iscoroutinefunction(function)
    return FunctionDefinition("f", function, trigger, (trigger,), signature, is_async=is_async, retry=policy)


class Failing:
    """A function that fails so often; notes the context of each call."""

    def __init__(self, failures: int) -> None:
        self.contexts: list[Any] = []
        self.ids: list[str] = []

        async def call(text: str, context: func.Context) -> None:
            self.contexts.append(context.retry_context)
            self.ids.append(context.invocation_id)
            if len(self.contexts) <= failures:
                raise ValueError(f"failure {len(self.contexts)}")

        self.call = call

    async def invoke(self, policy: RetryPolicy | None, invoker: Invoker | None = None) -> InvocationResult:
        invoker = invoker or Invoker("/", None)
        return await invoker.invoke(define(self.call, policy), Datum("input", "string"))

    @property
    def counts(self) -> list[int]:
        return [context.retry_count for context in self.contexts]


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        (None, None),
        ({}, None),
        ({"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:05"},
         RetryPolicy(3, 5 * SECOND)),
        ({"strategy": "fixed_delay", "max_retry_count": -1, "delay_interval": "23:59:59"},
         RetryPolicy(-1, 86399 * SECOND)),
        ({"strategy": "exponential_backoff", "max_retry_count": "5", "minimum_interval": "00:00:01",
          "maximum_interval": "00:01:00"}, RetryPolicy(5, SECOND, 60 * SECOND)),
    ],
)  # fmt: skip
def test_a_policy_is_fixed_or_exponential(
    settings: dict[str, Any] | None, policy: RetryPolicy | None
) -> None:
    assert read_retry_policy(settings) == policy


@pytest.mark.parametrize(
    "change",
    [{"delay_interval": "5"}, {"delay_interval": "24:00:00"}, {"delay_interval": None},
     {"max_retry_count": "x"}, {"max_retry_count": None}, {"strategy": "exponentialBackoff"},
     {"strategy": "exponential_backoff"}],
)  # fmt: skip
def test_what_the_worker_cannot_read_keeps_the_app_from_indexing(change: dict[str, Any]) -> None:
    settings = {"strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "00:00:05", **change}
    with pytest.raises(AppLoadError, match=r"ValueError: "):
        read_retry_policy(settings)


@pytest.mark.derived
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"strategy": "fixed_delay", "max_retry_count": "-2", "delay_interval": "00:00:05"}, "maxRetryCount"),
        ({"strategy": "exponential_backoff", "max_retry_count": "1", "minimum_interval": "00:00:02",
          "maximum_interval": "00:00:01"}, "must not be greater"),
    ],
)  # fmt: skip
def test_what_the_host_cannot_use_refuses_the_function(settings: dict[str, str], reason: str) -> None:
    with pytest.raises(FunctionRefused, match=reason):
        read_retry_policy(settings)


async def test_without_a_policy_a_function_is_called_once() -> None:
    failing = Failing(1)
    assert not (await failing.invoke(None)).succeeded
    assert failing.contexts == [RetryContext(0, 0)]
    assert failing.contexts[0].exception.message == ""


async def test_it_is_called_again_until_it_succeeds() -> None:
    failing = Failing(2)
    assert (await failing.invoke(RetryPolicy(5, SOON))).succeeded
    assert failing.counts == [0, 1, 2]
    assert [context.max_retry_count for context in failing.contexts] == [5, 5, 5]
    assert len(set(failing.ids)) == 3  # each attempt is an invocation of its own


async def test_the_context_tells_the_failure_before() -> None:
    failing = Failing(2)
    await failing.invoke(RetryPolicy(5, SOON))
    messages = [context.exception.message for context in failing.contexts]
    assert messages[0] == ""
    assert messages[1].startswith("Result: Failure\nException: ValueError: failure 1\nStack: ")
    assert "ValueError: failure 2" in messages[2]


async def test_after_the_last_retry_the_call_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    failing = Failing(99)
    result = await failing.invoke(RetryPolicy(2, SOON))
    assert failing.counts == [0, 1, 2]
    assert result.error_text == "ValueError: failure 3"
    assert "Function execution failed after '2' retries." in caplog.text


async def test_without_a_limit_it_is_called_until_it_succeeds() -> None:
    failing = Failing(40)
    assert (await failing.invoke(RetryPolicy(-1, timedelta(0)))).succeeded
    assert failing.counts == list(range(41))


async def test_no_retries_are_no_retries() -> None:
    failing = Failing(1)
    assert not (await failing.invoke(RetryPolicy(0, SOON))).succeeded
    assert failing.counts == [0]


async def test_a_host_that_stops_waits_for_no_retry() -> None:
    failing, invoker = Failing(99), Invoker("/", None)
    running = asyncio.create_task(failing.invoke(RetryPolicy(-1, timedelta(hours=1)), invoker))
    while not failing.contexts:  # noqa: ASYNC110 (a few turns of the loop)
        await asyncio.sleep(0)
    invoker.stop_retrying()
    async with asyncio.timeout(5):
        assert not (await running).succeeded
    assert failing.counts == [0]


def test_fixed_pauses_are_all_alike() -> None:
    assert list(islice(pauses(RetryPolicy(9, 3 * SECOND)), 3)) == [3 * SECOND] * 3


@pytest.mark.derived
def test_exponential_pauses_double_with_some_chance_up_to_the_longest() -> None:
    for _ in range(50):
        waits = list(islice(pauses(RetryPolicy(9, SECOND, 20 * SECOND)), 9))
        assert waits[0] == SECOND
        for index, wait in enumerate(waits[1:5]):
            usual = 2**index
            assert SECOND * (1 + 0.8 * usual) <= wait <= SECOND * (1 + 1.2 * usual)
        assert waits[6:] == [20 * SECOND] * 3
    assert list(islice(pauses(RetryPolicy(9, timedelta(0), SECOND)), 45))[:2] == [timedelta(0)] * 2


@pytest.mark.parametrize("trigger_type", ["orchestrationTrigger", "activityTrigger"])
async def test_a_durable_function_is_not_called_again(trigger_type: str) -> None:
    async def fails(text):  # type: ignore[no-untyped-def]
        raise ValueError("no")

    function, invoker = define(fails, RetryPolicy(3, SOON), trigger_type), Invoker("/", None)
    assert not (await invoker.invoke(function, Datum('"input"', "string"))).succeeded
    assert invoker.run_log.of("f").failed == 1
    assert retry_warnings([function]) == [
        "The @retry of the durable function 'f' is not applied; "
        "retries of activities and sub-orchestrations are for their caller to ask for."
    ]


def test_a_trigger_that_does_not_support_retries_is_warned_of() -> None:
    policy = RetryPolicy(3, SOON)
    assert retry_warnings([define(print_, policy, "timerTrigger"), define(print_, None)]) == []
    (line,) = retry_warnings([define(print_, policy, "httpTrigger")])
    assert line.startswith("Soon retries will not be supported for function 'Functions.f'.")


def print_(text):  # type: ignore[no-untyped-def]
    """A function that is not called."""


async def test_every_attempt_is_in_the_run_log_and_only_the_last_twenty_are_kept() -> None:
    invoker = Invoker("/", None)
    await Failing(30).invoke(RetryPolicy(30, timedelta(0)), invoker)
    runs = invoker.run_log.of("f")
    assert (runs.succeeded, runs.failed, len(runs.ended), len(runs.under_way)) == (1, 30, 20, 0)
    assert [run.error for run in list(runs.ended)[:2]] == [None, "ValueError: failure 30"]
    assert list(invoker.run_log.functions()) == ["f"]


async def test_a_run_is_under_way_until_it_ends_or_is_cancelled() -> None:
    invoker = Invoker("/", None)

    async def endless(text: str) -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(invoker.invoke(define(endless, None), Datum("x", "string")))
    await asyncio.sleep(0.01)
    assert [run.duration for run in invoker.run_log.of("f").under_way.values()] == [None]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    runs = invoker.run_log.of("f")
    assert not runs.under_way
    assert runs.ended[0].error == "Cancelled: the host is stopping."


def test_a_timer_is_retried_within_one_trigger(start_host: StartHost) -> None:
    host = start_host("ticking").wait_until_up()
    assert until(lambda: len(host.noted("retried")) == 4 and host.noted("retried")) == [
        "0/3",
        "1/3",
        "2/3",
        "3/3",
    ]
    until(lambda: "Function execution failed after '3' retries." in host.log)
    assert "Soon retries will not be supported for function 'Functions.answer'." in host.log
    assert host.call("GET", "/api/answer").text == "at last"
    assert host.stop() == 0
