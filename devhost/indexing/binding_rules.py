"""What the real host refuses about names, bindings, routes and schedules, with its reasons."""

import re
from collections.abc import Callable, Mapping, Sequence

from devhost.app_settings import resolve_tokens
from devhost.errors import FunctionRefused
from devhost.indexing.function_binding import Binding
from devhost.indexing.storage_rules import check_storage_binding

# By trigger type: the member in a language of its own, and what reads that or raises ValueError.
Languages = Mapping[str, tuple[str, Callable[[str], object]]]
NO_LANGUAGES: Languages = {}

_FUNCTION_NAME = re.compile(r"^[a-z][a-z0-9_\-]{0,127}$", re.IGNORECASE)
_BINDING_NAME = re.compile(r"^(?!.*__)([a-zA-Z_][a-zA-Z0-9_]{0,127}|\$return)$")
_TRIGGERS = (
    "httpTrigger",
    "queueTrigger",
    "timerTrigger",
    "orchestrationTrigger",
    "activityTrigger",
    "entityTrigger",
)
_BINDINGS = ("http", "queue", "blob", "durableClient")
_RESOLVED_MEMBERS = (
    "queueName",
    "schedule",
    "orchestration",
    "activity",
    "entityName",
    "connection",
    "taskHub",
    "path",
)


def check_function(
    name: str, bindings: Sequence[Binding], languages: Languages = NO_LANGUAGES
) -> tuple[Binding, ...]:
    """Check one function by itself and return its bindings with `%name%` resolved. Raises FunctionRefused."""
    if not _FUNCTION_NAME.match(name) or name.lower() == "host":
        raise FunctionRefused(f"'{name}' is not a valid function name.")
    _check_names_of(bindings)
    try:
        resolved = tuple(_resolved(binding) for binding in bindings)
        for binding in resolved:
            _check_binding(binding)
            if binding.type in languages:
                member, read = languages[binding.type]
                read(str(binding.properties.get(member) or ""))
    except ValueError as error:
        raise FunctionRefused(str(error)) from None
    return resolved


def _check_names_of(bindings: Sequence[Binding]) -> None:
    names: set[str] = set()
    for binding in bindings:
        if binding.name in names:
            raise FunctionRefused(
                f"Multiple bindings with name '{binding.name}' discovered. Binding names must be unique."
            )
        names.add(binding.name)


def _resolved(binding: Binding) -> Binding:
    properties = {
        key: resolve_tokens(value) if key in _RESOLVED_MEMBERS and isinstance(value, str) else value
        for key, value in binding.properties.items()
    }
    return Binding(binding.name, binding.type, binding.direction, properties)


def _check_binding(binding: Binding) -> None:
    if not _BINDING_NAME.match(binding.name):
        raise ValueError(
            f"The binding name {binding.name} is invalid. Please assign a valid name to the binding."
        )
    check_storage_binding(binding)
    if binding.is_trigger and binding.type not in _TRIGGERS:
        raise ValueError(f"devhost has no listener for the trigger type '{binding.type}'.")
    if not binding.is_trigger and binding.type not in _BINDINGS:
        raise ValueError(f"devhost does not know the binding type '{binding.type}'.")
    if binding.type == "httpTrigger":
        _check_route(str(binding.properties.get("route", "")))
    if binding.type == "orchestrationTrigger" and str(
        binding.properties.get("orchestration") or ""
    ).startswith("@"):
        raise ValueError("Orchestration names must not start with @.")


def _check_route(route: str) -> None:
    if route.strip("/").lower().startswith(("admin", "runtime")):  # "administrators", too
        raise ValueError("The specified route conflicts with one or more built in routes.")


def check_route_conflict(trigger: Binding, taken: Sequence[tuple[str, Binding]]) -> None:
    """Refuse an HTTP trigger whose route and verbs another function has. Raises FunctionRefused."""
    for other_name, other in taken:
        if _route(trigger) != _route(other):
            continue
        mine, theirs = verbs(trigger), verbs(other)
        if not mine or not theirs or mine & theirs:
            raise FunctionRefused(
                f"The route specified conflicts with the route defined by function '{other_name}'."
            )


def _route(trigger: Binding) -> str:
    return str(trigger.properties.get("route") or "").strip("/").lower()


def verbs(trigger: Binding) -> frozenset[str]:
    """Verbs of an HTTP trigger in upper case; empty means all."""
    return frozenset(str(verb).upper() for verb in trigger.properties.get("methods") or ())
