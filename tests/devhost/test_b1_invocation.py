"""Contract B1, invocation: how a function is called, and what becomes of what it gives."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest
from azure.functions.meta import Datum

from devhost.durable.client_binding import DurableClientUrls
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import FunctionTimeout, InvocationResult, Invoker

TRIGGER = Binding("text", "queueTrigger", "IN", {"queueName": "q"})


def define(function: Callable[..., Any], *bindings: Binding) -> FunctionDefinition:
    all_bindings = (TRIGGER, *bindings)
    signature = read_signature("f", function, all_bindings)
    is_async = asyncio.iscoroutinefunction(function)
    return FunctionDefinition("f", function, TRIGGER, all_bindings, signature, is_async=is_async)


async def call(
    function: Callable[..., Any],
    *bindings: Binding,
    limit: timedelta | None = None,
    sent: list[Any] | None = None,
) -> InvocationResult:
    async def write(binding: Binding, datum: Datum) -> None:
        (sent if sent is not None else []).append((binding.name, datum.value))

    invoker = Invoker("/", limit)
    invoker.outputs["queue"] = write
    return await invoker.invoke(define(function, *bindings), Datum("input", "string"))


async def test_a_synchronous_function_runs_in_a_thread_and_an_asynchronous_one_on_the_loop() -> None:
    threads: list[threading.Thread] = []

    def sync(text: str, context: func.Context) -> None:
        threads.append(threading.current_thread())
        local: Any = context.thread_local_storage
        assert local.invocation_id == context.invocation_id

    async def on_loop(text: str) -> None:
        threads.append(threading.current_thread())

    assert (await call(sync)).succeeded
    assert (await call(on_loop)).succeeded
    assert [thread is threading.main_thread() for thread in threads] == [False, True]


async def test_outputs_are_sent_by_name_and_an_unset_one_is_not() -> None:
    def puts(text: str, out: func.Out[str], other: func.Out[bytes]) -> str:
        out.set(text + "!")
        assert out.get() == "input!"
        return "returned"

    outs = [Binding(name, "queue", "OUT", {"queueName": "q"}) for name in ("out", "other", "$return")]
    sent: list[Any] = []
    assert (await call(puts, *outs, sent=sent)).succeeded
    assert sent == [("out", "input!"), ("$return", "returned")]


async def test_nothing_is_put_out_by_a_call_whose_values_do_not_all_fit() -> None:
    def puts(text: str, out: func.Out[str], other: func.Out[str]) -> str:
        out.set("first")
        other.set(1)  # type: ignore[arg-type] # the fault
        return "returned"

    def returns(text: str, out: func.Out[str]) -> str:
        out.set("first")
        return None  # type: ignore[return-value] # the fault

    outs = {name: Binding(name, "queue", "OUT", {"queueName": "q"}) for name in ("out", "other", "$return")}
    sent: list[Any] = []
    for function, names in ((puts, ("out", "other", "$return")), (returns, ("out", "$return"))):
        result = await call(function, *(outs[name] for name in names), sent=sent)
        assert "unable to encode outgoing TypedData" in result.error_text
    assert sent == []  # the message is run again: what was sent would be sent at each attempt


async def test_an_http_output_parameter_keeps_no_other_output_back() -> None:
    def puts(text: str, answer: func.Out[func.HttpResponse], out: func.Out[str]) -> None:
        answer.set(func.HttpResponse("made", status_code=201))
        out.set("sent")

    outs = [Binding("answer", "http", "OUT", {}), Binding("out", "queue", "OUT", {"queueName": "q"})]
    sent: list[Any] = []
    result = await call(puts, *outs, sent=sent)
    assert result.returned is not None
    assert result.returned.value.status_code == 201
    assert sent == [("out", "sent")]


async def test_a_value_that_no_binding_takes_fails_the_call() -> None:
    def returns(text: str) -> str:
        return text

    result = await call(returns)
    assert (
        result.error_text == "RuntimeError: function 'f' without a $return binding returned a non-None value"
    )


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    """An error that cannot be changed, not even its traceback."""

    text: str


@pytest.mark.parametrize(
    "kind", [ValueError, SystemExit, StopIteration, KeyboardInterrupt, asyncio.CancelledError, Frozen]
)
async def test_whatever_a_function_raises_fails_the_call_alone(kind: type[BaseException]) -> None:
    def sync(text: str) -> None:
        raise kind("x")

    async def on_loop(text: str) -> None:
        raise kind("x")

    for function in (sync, on_loop):
        result = await call(function)
        assert not result.succeeded
        assert kind.__name__ in result.error_text
        assert f"in {function.__name__}" in result.stack or kind is StopIteration


async def test_a_stack_begins_with_the_users_own_code() -> None:
    def sync(text: str) -> None:
        raise ValueError("x") from KeyError("y")

    result = await call(sync)
    assert result.stack.startswith(f'  File "{__file__}"')


async def test_a_function_over_its_time_fails() -> None:
    async def on_loop(text: str) -> None:
        await asyncio.sleep(60)

    def sync(text: str) -> None:
        time.sleep(0.3)

    for function in (on_loop, sync):
        result = await call(function, limit=timedelta(seconds=0.05))
        assert isinstance(result.error, FunctionTimeout)
        assert "Timeout value of 0:00:00.050000 exceeded by function 'Functions.f'" in result.error_text


async def test_a_functions_own_timeout_is_its_own() -> None:
    async def impatient(text: str) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)

    assert (await call(impatient, limit=timedelta(seconds=60))).error_text == "TimeoutError: "


async def test_a_cancelled_call_is_cancelled() -> None:
    started = asyncio.Event()

    async def endless(text: str) -> None:
        started.set()
        await asyncio.sleep(60)

    task = asyncio.create_task(call(endless))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_nothing_returned_to_a_return_binding_fails_the_call_with_the_workers_words() -> None:
    def forgets(text: str) -> None: ...

    back = Binding("$return", "queue", "OUT", {"queueName": "q"})
    forgets.__annotations__.pop("return")
    sent: list[Any] = []
    result = await call(forgets, back, sent=sent)
    assert result.error_text.startswith("TypeError: unable to encode outgoing TypedData: unsupported type")
    assert result.error_text.endswith('for Python type "NoneType"')
    assert sent == []


async def test_a_context_says_who_is_called_and_is_not_being_retried() -> None:
    seen: list[Any] = []

    def asks(text: str, context: func.Context) -> None:
        seen.append(context)

    result = await call(asks)
    (context,) = seen
    assert context.invocation_id == result.invocation_id
    assert (context.function_name, context.function_directory) == ("f", "//f")
    assert context.trace_context.trace_state == ""
    assert context.retry_context.retry_count == 0


async def test_the_thread_pool_has_as_many_threads_as_the_setting_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHON_THREADPOOL_THREAD_COUNT", "2")
    at_once, most, both = 0, 0, threading.Barrier(2)

    def counted(text: str) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        both.wait(10)  # two have to be inside before either may go
        at_once -= 1

    invoker = Invoker("/", None)
    calls = [invoker.invoke(define(counted), Datum("input", "string")) for _ in range(4)]
    assert all(result.succeeded for result in await asyncio.gather(*calls))
    assert most == 2


async def test_a_durable_client_needs_an_asynchronous_function() -> None:
    app = df.DFApp()

    @app.queue_trigger(arg_name="text", queue_name="q", connection="c")  # type: ignore[untyped-decorator]
    @app.durable_client_input(client_name="client")  # type: ignore[untyped-decorator]
    def begins(text: str, client: df.DurableOrchestrationClient) -> None: ...

    (function,) = app.get_functions()
    client = Binding("client", "durableClient", "IN", {})
    invoker = Invoker("/", None)
    urls = DurableClientUrls("Hub", 7071, "127.0.0.1")
    invoker.inputs["durableClient"] = urls.client_datum
    result = await invoker.invoke(define(function.get_user_function(), client), Datum("input", "string"))
    assert result.error_text == "TypeError: object NoneType can't be used in 'await' expression"
