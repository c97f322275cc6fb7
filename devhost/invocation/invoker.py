"""Calls one function: decodes its inputs, runs it on the loop or in a thread, encodes what it gives."""

import asyncio
import functools
import logging
import threading
import time
import traceback
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.functions.meta import Datum

from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.invocation.binding_value import decode, encode
from devhost.invocation.function_threads import FunctionThreads
from devhost.invocation.invocation_context import (
    NO_RETRY,
    InvocationContext,
    OutValue,
    RetryContext,
    new_invocation_id,
)
from devhost.invocation.invocation_log import log_begin, log_end
from devhost.invocation.retry_policy import applied_policy, with_retries
from devhost.invocation.run_log import Run, RunLog
from devhost.invocation.time_limit import TimeLimit
from devhost.invocation.trigger_values import bind_expressions
from devhost.log_level import running_function
from devhost.storable_text import describe, storable

logger = logging.getLogger("devhost")

_LOOK_SECONDS = 0.02
_HOST_FRAMES = (str(Path(__file__).parent.parent), "/concurrent/futures/", "/asyncio/")

InputSource = Callable[[Binding], Datum | Awaitable[Datum]]
OutputWriter = Callable[[Binding, Datum], Awaitable[None]]


class FunctionTimeout(Exception):
    """The function ran longer than host.json's functionTimeout."""


@dataclass(frozen=True, slots=True)
class InvocationResult:
    """Outcome of one call: `returned` when it succeeded, `error` when not."""

    invocation_id: str
    returned: Datum | None = None
    error: BaseException | None = None

    @property
    def succeeded(self) -> bool:
        return self.error is None

    @property
    def error_text(self) -> str:
        """`Type: message`, as the worker reports it."""
        return describe(self.error)

    @property
    def stack(self) -> str:
        """Traceback of the user's code."""
        return storable("".join(traceback.format_tb(self.error.__traceback__))) if self.error else ""


def _user_frames(trace: types.TracebackType | None) -> types.TracebackType | None:
    """The traceback without the host's own frames above the user's; whole when it has no others."""
    frame = trace
    while frame is not None and any(part in frame.tb_frame.f_code.co_filename for part in _HOST_FRAMES):
        frame = frame.tb_next
    return frame or trace


class Invoker:
    """Runs functions. `inputs` and `outputs` say per binding type where values come from and go to."""

    def __init__(self, script_root: str, timeout: timedelta | None) -> None:
        self._script_root = script_root
        self._limit = TimeLimit(timeout.total_seconds() if timeout else None)
        self._local = threading.local()
        self.threads = FunctionThreads()
        self.inputs: dict[str, InputSource] = {}
        self.outputs: dict[str, OutputWriter] = {}
        self.run_log = RunLog()
        self._stopping = asyncio.Event()

    def stop_retrying(self) -> None:
        """From now on a failed call is not made again, whatever its `@retry` says: the host is stopping."""
        self._stopping.set()

    async def wait_until_idle(self, seconds: float) -> None:
        """Wait until no call is under way, but no longer than that."""
        deadline = time.monotonic() + seconds
        while not self.run_log.is_idle and time.monotonic() < deadline:  # noqa: ASYNC110 (no cost to a call)
            await asyncio.sleep(_LOOK_SECONDS)

    async def invoke(
        self, function: FunctionDefinition, value: Datum, metadata: Mapping[str, Datum] | None = None
    ) -> InvocationResult:
        """Call `function` with its trigger's value, and again after a failure as its `@retry` says.

        Never raises but when it is cancelled.
        """
        policy = applied_policy(function)
        if policy is None:
            return await self._attempt(function, value, metadata or {}, NO_RETRY)
        attempt = functools.partial(self._attempt, function, value, metadata or {})
        return await with_retries(policy, attempt, self._stopping)

    async def _attempt(
        self, function: FunctionDefinition, value: Datum, metadata: Mapping[str, Datum], retry: RetryContext
    ) -> InvocationResult:
        invocation_id = new_invocation_id()
        log_begin(function.name, invocation_id)
        run = self.run_log.begin(function.name, invocation_id)
        try:
            returned = await self._call(function, value, metadata, invocation_id, retry)
        except BaseException as error:  # a user's function may raise anything; the host must outlive it
            if isinstance(error, asyncio.CancelledError) and _is_being_cancelled():
                logger.warning(
                    "Cancelled 'Functions.%s' (Id=%s): the host is stopping.", function.name, invocation_id
                )
                self.run_log.end(function.name, run, "Cancelled: the host is stopping.")
                raise
            # An assignment would ask the error's own __setattr__, and a frozen dataclass refuses.
            error.with_traceback(_user_frames(error.__traceback__))
            self._end(function, run, error)
            return InvocationResult(invocation_id, error=error)
        self._end(function, run, None)
        return InvocationResult(invocation_id, returned)

    def _end(self, function: FunctionDefinition, run: Run, error: BaseException | None) -> None:
        shown = error
        if error is not None and function.trigger.type == "orchestrationTrigger":
            # An orchestrator's error carries its whole state; its cause is what the developer wants to see.
            shown = error.__cause__ or error
        seconds = self.run_log.end(function.name, run, None if shown is None else describe(shown))
        log_end(function.name, run.invocation_id, seconds, failed=error is not None, shown=shown)

    async def _call(
        self,
        function: FunctionDefinition,
        value: Datum,
        metadata: Mapping[str, Datum],
        invocation_id: str,
        retry: RetryContext,
    ) -> Datum | None:
        arguments: dict[str, Any] = {}
        outs: dict[str, OutValue] = {}
        bindings = bind_expressions(function, value, metadata, invocation_id)
        for binding in bindings:
            if binding.name == "$return":
                continue
            if binding.name in function.signature.out_parameters:
                arguments[binding.name] = outs[binding.name] = OutValue()
                continue
            datum, known = (value, metadata) if binding.is_trigger else (await self._input(binding), {})
            arguments[binding.name] = decode(function.signature.converters[binding.name], datum, known)
        if function.signature.wants_context:
            directory = f"{self._script_root}/{function.name}"
            arguments["context"] = InvocationContext(
                invocation_id, function.name, directory, self._local, retry
            )
        limited = self._limit.begin()
        try:
            result = await self._run(function, arguments, invocation_id)
        except (TimeoutError, asyncio.CancelledError):
            if limited is not None and limited.expired:
                raise FunctionTimeout(
                    f"Timeout value of {timedelta(seconds=self._limit.seconds or 0)} exceeded by function "
                    f"'Functions.{function.name}' (Id: '{invocation_id}'). Initiating cancellation."
                ) from None
            raise
        finally:
            self._limit.end(limited)
        return await self._deliver(function, bindings, result, outs)

    async def _input(self, binding: Binding) -> Datum:
        given = self.inputs[binding.type](binding)
        return given if isinstance(given, Datum) else await given

    async def _run(self, function: FunctionDefinition, arguments: dict[str, Any], invocation_id: str) -> Any:
        if function.is_async:
            self._local.invocation_id = invocation_id
            token = running_function.set(function.name)
            try:
                return await function.user_function(**arguments)
            finally:
                running_function.reset(token)
        call = functools.partial(self._run_in_thread, function, arguments, invocation_id)
        return await self.threads.run(call)

    def _run_in_thread(
        self, function: FunctionDefinition, arguments: dict[str, Any], invocation_id: str
    ) -> Any:
        self._local.invocation_id = invocation_id
        running_function.set(function.name)  # in the thread's own context, which knows no other function
        try:
            return function.user_function(**arguments)
        except StopIteration as error:
            # A future cannot carry StopIteration.
            raise RuntimeError(describe(error)).with_traceback(error.__traceback__) from None

    async def _deliver(
        self,
        function: FunctionDefinition,
        bindings: Sequence[Binding],
        result: Any,
        outs: Mapping[str, OutValue],
    ) -> Datum | None:
        signature = function.signature
        if result is not None and signature.return_binding is None:
            raise RuntimeError(
                f"function '{function.name}' without a $return binding returned a non-None value"
            )
        given = [
            (binding, self._encoded(signature, binding.name, outs[binding.name].get()))
            for binding in bindings
            if binding.name in outs and outs[binding.name].get() is not None
        ]
        returned = None
        if signature.return_binding is not None:
            returned = encode(signature.return_binding, result, signature.return_type)
            given += [(binding, returned) for binding in bindings if binding.name == "$return"]
        # Nothing is put out before all is encoded: what was would be put out again by the next attempt.
        for binding, datum in given:
            if binding.type == "http":
                returned = datum
            else:
                await self.outputs[binding.type](binding, datum)
        return returned

    @staticmethod
    def _encoded(signature: Signature, name: str, value: Any) -> Datum:
        return encode(signature.converters[name], value, signature.python_types[name])


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
