"""The worker's rules about a function's parameters and its bindings."""

import inspect
import typing
from collections.abc import Callable, Sequence, Set
from typing import Any

import azure.functions as func
from azure.functions import meta

from devhost.errors import AppLoadError
from devhost.indexing.function_binding import Binding, Signature

Refuse = Callable[[str], AppLoadError]


def read_signature(name: str, user_function: Callable[..., Any], bindings: Sequence[Binding]) -> Signature:
    """Check parameters against bindings as the worker does. Raises AppLoadError with its reason."""

    def refuse(reason: str) -> AppLoadError:
        return AppLoadError(f"FunctionLoadError: cannot load the {name} function: {reason}")

    try:
        annotations = typing.get_type_hints(user_function)
    except (NameError, TypeError) as error:
        raise refuse(f"its annotations cannot be read: {error}") from error
    by_name = {binding.name: binding for binding in bindings if binding.name != "$return"}
    parameters = set(inspect.signature(user_function).parameters)
    wants_context = "context" in parameters and "context" not in by_name
    if wants_context:
        parameters.remove("context")
        _check_context(annotations.get("context"), refuse)
    _check_names(by_name.keys(), parameters, refuse)
    converters: dict[str, str] = {}
    python_types: dict[str, Any] = {}
    outs: set[str] = set()
    for binding_name, binding in by_name.items():
        annotation = annotations.get(binding_name)
        if binding.direction == "OUT":
            outs.add(binding_name)
            annotation = _out_type(annotation, binding_name, refuse)
        elif typing.get_origin(annotation) is not None:
            raise refuse(f"binding {binding_name} has invalid non-type annotation {annotation!r}")
        python_types[binding_name] = annotation
        converters[binding_name] = _converter_name(binding, annotation)
        _check_annotation(binding, converters[binding_name], annotation, refuse)
    return_binding = _return_converter(bindings, annotations.get("return"))
    return Signature(
        converters, python_types, frozenset(outs), wants_context, return_binding, annotations.get("return")
    )


def _check_context(annotation: Any, refuse: Refuse) -> None:
    if annotation is not None and getattr(annotation, "__name__", "") != "Context":
        raise refuse(
            f'the "context" parameter is expected to be of type azure.functions.Context, got {annotation!r}'
        )


def _check_names(bindings: Set[str], parameters: Set[str], refuse: Refuse) -> None:
    definition = "in the function definition (function.json or function decorators)"
    if bindings - parameters:
        missing = sorted(bindings - parameters)
        raise refuse(f"the following parameters are declared {definition} but not in Python: {missing}")
    if parameters - bindings:
        undeclared = sorted(parameters - bindings)
        raise refuse(f"the following parameters are declared in Python but not {definition}: {undeclared}")


def _out_type(annotation: Any, name: str, refuse: Refuse) -> Any:
    if annotation is None:
        return None
    if annotation is func.Out or typing.get_origin(annotation) is func.Out:
        inner = typing.get_args(annotation)
        return inner[0] if inner else str
    raise refuse(
        f"binding {name} is declared to have the 'out' direction "
        "but its annotation in Python is not azure.functions.Out"
    )


def _converter_name(binding: Binding, annotation: Any) -> str:
    implicit = has_implicit_output(binding.type)
    if annotation in (str, bytes) and not implicit:
        return "generic"
    if converter_of(binding.type) is None:
        return "generic"
    return binding.type


def _check_annotation(binding: Binding, converter_name: str, annotation: Any, refuse: Refuse) -> None:
    if annotation is None or converter_name == "generic" or binding.type == "durableClient":
        return
    converter = converter_of(converter_name)
    check = "check_output_type_annotation" if binding.direction == "OUT" else "check_input_type_annotation"
    try:
        fits = getattr(converter, check)(annotation)
    except TypeError:
        fits = False
    if not fits:
        raise refuse(
            f'type of {binding.name} binding in the function definition "{binding.type}" '
            f'does not match its Python annotation "{getattr(annotation, "__name__", annotation)}"'
        )


def converter_of(binding_type: str) -> Any:
    """The library's own converter of a binding type, or None."""
    return meta.get_binding_registry().get(binding_type)  # type: ignore[no-untyped-call]


def has_implicit_output(binding_type: str) -> bool:
    """Whether a returned value belongs to the trigger itself (activities and orchestrators)."""
    converter = converter_of(binding_type)
    return bool(converter is not None and getattr(converter, "has_implicit_output", lambda: False)())


def _return_converter(bindings: Sequence[Binding], annotation: Any) -> str | None:
    explicit = next((binding for binding in bindings if binding.name == "$return"), None)
    if explicit is not None:
        return "generic" if annotation in (str, bytes) and explicit.type != "http" else explicit.type
    return next((binding.type for binding in bindings if has_implicit_output(binding.type)), None)
