"""A function and its bindings as the host sees them after indexing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from devhost.indexing.retry_settings import RetryPolicy


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding, as in function.json: `properties` holds its camelCase members, `%name%` resolved."""

    name: str
    type: str
    direction: str  # IN, OUT or INOUT
    properties: Mapping[str, Any]

    @property
    def is_trigger(self) -> bool:
        return self.type.endswith("Trigger")


@dataclass(frozen=True, slots=True)
class Signature:
    """How the worker calls the user's function: which converter each parameter and the return take."""

    converters: Mapping[str, str]
    python_types: Mapping[str, Any]
    out_parameters: frozenset[str]
    wants_context: bool
    return_binding: str | None  # name of the converter that encodes the returned value
    return_type: Any = None


@dataclass(frozen=True, slots=True)
class FunctionDefinition:
    """One indexed function."""

    name: str
    user_function: Callable[..., Any]
    trigger: Binding
    bindings: tuple[Binding, ...]
    signature: Signature
    is_async: bool
    is_disabled: bool = False
    retry: RetryPolicy | None = None

    def http_path(self, prefix: str) -> str:
        """Path template of an HTTP function below the host, under the app's route prefix."""
        prefix = prefix.strip("/")
        route = str(self.trigger.properties.get("route") or self.name).strip("/")
        return f"{prefix}/{route}" if prefix else route

    @property
    def durable_name(self) -> str:
        """Name under which an orchestration calls it: the trigger's own when given, else the function's."""
        properties = self.trigger.properties
        given = properties.get("orchestration") or properties.get("activity") or properties.get("entityName")
        return str(given or self.name)
