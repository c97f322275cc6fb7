"""What the worker hands to a function beside its bindings: Context, and Out parameters."""

import os
import threading
import types
from dataclasses import dataclass
from typing import Any

import azure.functions as func


def new_invocation_id() -> str:
    """A random UUID (version 4) as text; `uuid.uuid4` takes four times as long."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


@dataclass(frozen=True, slots=True)
class RpcException:
    """A failure as the host hands it to the worker; empty texts where there was none."""

    source: str = ""
    stack_trace: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class RetryContext:
    """Which retry this is (0: the first attempt), how many there may be (-1: any number), and why."""

    retry_count: int = 0
    max_retry_count: int = 0
    exception: RpcException = RpcException()


NO_RETRY = RetryContext()


class InvocationContext(func.Context):
    """The `context` parameter of a function."""

    def __init__(
        self,
        invocation_id: str,
        function_name: str,
        directory: str,
        local: threading.local,
        retry: RetryContext = NO_RETRY,
    ) -> None:
        self._invocation_id = invocation_id
        self._function_name = function_name
        self._directory = directory
        self._local = local
        self._trace = types.SimpleNamespace(trace_parent="", trace_state="", attributes={})
        self._retry = retry

    @property
    def invocation_id(self) -> str:
        return self._invocation_id

    @property
    def function_name(self) -> str:
        return self._function_name

    @property
    def function_directory(self) -> str:
        return self._directory

    @property
    def thread_local_storage(self) -> Any:
        return self._local

    @property
    def trace_context(self) -> Any:
        return self._trace

    @property
    def retry_context(self) -> Any:
        return self._retry


class OutValue(func.Out[Any]):
    """An output parameter; holds what the function sets last."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value
