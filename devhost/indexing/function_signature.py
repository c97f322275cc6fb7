"""The worker's rules about a function's parameters and its bindings, in the worker's order and words."""

import collections.abc
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from azure.functions import meta

from devhost.errors import AppLoadError
from devhost.indexing.function_binding import Binding, Signature

Refuse = Callable[[str], AppLoadError]
_DEFINITION = "in the function definition (function.json or function decorators)"
_NO_GENERIC_TYPE = (typing.Union, types.UnionType, tuple, typing.ClassVar, collections.abc.Callable)


def read_signature(name: str, user_function: Callable[..., Any], bindings: Sequence[Binding]) -> Signature:
    """Check parameters against bindings as the worker does. Raises AppLoadError with its reason."""

    def refuse(reason: str) -> AppLoadError:
        return AppLoadError(f"FunctionLoadError: cannot load the {name} function: {reason}")

    try:
        annotations = typing.get_type_hints(user_function)
    except Exception as error:  # an annotation is the app's code and may raise anything
        raise AppLoadError(f"{type(error).__name__}: {error} (in the annotations of {name})") from error
    _check_directions(bindings, refuse)
    by_name = {binding.name: binding for binding in bindings if binding.name != "$return"}
    parameters = list(inspect.signature(user_function).parameters)
    wants_context = "context" in parameters and "context" not in by_name
    if wants_context:
        parameters.remove("context")
        _check_context(annotations.get("context"), refuse)
    _check_names(by_name, parameters, refuse)
    converters: dict[str, str] = {}
    python_types: dict[str, Any] = {}
    for parameter in parameters:
        binding = by_name[parameter]
        annotation = _value_type(binding, annotations.get(parameter), refuse)
        converter_name = _converter_name(binding, annotation)
        _check_annotation(binding, converter_name, annotation, refuse)
        converters[parameter], python_types[parameter] = converter_name, annotation
    return Signature(
        converters,
        python_types,
        frozenset(name for name, binding in by_name.items() if binding.direction == "OUT"),
        wants_context,
        _return_converter(bindings, annotations.get("return"), refuse),
        annotations.get("return"),
    )


def _check_directions(bindings: Sequence[Binding], refuse: Refuse) -> None:
    for binding in bindings:
        if binding.direction == "INOUT":
            raise refuse('"inout" bindings are not supported')
        if binding.name == "$return" and binding.direction != "OUT":
            raise refuse('"$return" binding must have direction set to "out"')


def _check_context(annotation: Any, refuse: Refuse) -> None:
    if annotation is not None and (not isinstance(annotation, type) or annotation.__name__ != "Context"):
        raise refuse(
            f'the "context" parameter is expected to be of type azure.functions.Context, got {annotation!r}'
        )


def _check_names(bindings: Iterable[str], parameters: Iterable[str], refuse: Refuse) -> None:
    declared, written = set(bindings), set(parameters)
    if written - declared:
        raise refuse(
            "the following parameters are declared in Python but not "
            f"{_DEFINITION}: {_set_text(written - declared)}"
        )
    if declared - written:
        raise refuse(
            f"the following parameters are declared {_DEFINITION} "
            f"but not in Python: {_set_text(declared - written)}"
        )


def _set_text(names: set[str]) -> str:
    return "{" + ", ".join(repr(name) for name in sorted(names)) + "}"


def _value_type(binding: Binding, annotation: Any, refuse: Refuse) -> Any:
    """Type of the value that a parameter carries: what is inside of `func.Out[...]`, else its annotation."""
    if annotation is None:
        return None
    origin = typing.get_origin(annotation)
    is_out = getattr(origin or annotation, "__name__", "") == "Out"
    value_type = annotation
    if is_out:
        inner = typing.get_args(annotation)
        if len(inner) != 1:
            raise refuse(f"binding {binding.name} has invalid Out annotation {annotation!r}")
        value_type = inner[0]
    if not isinstance(value_type, type) and not _is_generic_type(value_type):
        raise refuse(f"binding {binding.name} has invalid non-type annotation {annotation!r}")
    if binding.direction == "OUT" and not is_out:
        raise refuse(
            f'binding {binding.name} is declared to have the "out" direction, '
            "but its annotation in Python is not a subclass of azure.functions.Out"
        )
    if binding.direction != "OUT" and is_out:
        raise refuse(
            f'binding {binding.name} is declared to have the "in" direction {_DEFINITION}, '
            "but its annotation is azure.functions.Out in Python"
        )
    return value_type


def _is_generic_type(annotation: Any) -> bool:
    """`typing.List[str]` is one; `list[str]`, unions, optional and tuple types are none for the worker."""
    origin = typing.get_origin(annotation)
    return (
        origin is not None
        and origin not in _NO_GENERIC_TYPE
        and not isinstance(annotation, types.GenericAlias)
    )


def _converter_name(binding: Binding, annotation: Any) -> str:
    if annotation in (str, bytes) and not has_implicit_output(binding.type):
        return "generic"
    return binding.type if converter_of(binding.type) is not None else "generic"


def _check_annotation(binding: Binding, converter_name: str, annotation: Any, refuse: Refuse) -> None:
    if annotation is None or _takes(converter_name, annotation, is_output=binding.direction == "OUT"):
        return
    shown = getattr(annotation, "__name__", annotation)
    data_type = binding.properties.get("dataType")
    if data_type not in (None, "UNDEFINED"):
        raise refuse(
            f'{binding.name!r} binding type "{binding.type}" and dataType "{data_type}" {_DEFINITION} '
            f'do not match the corresponding function parameter\'s Python type annotation "{shown}"'
        )
    raise refuse(
        f'type of {binding.name} binding in the function definition "{binding.type}" '
        f'does not match its Python annotation "{shown}"'
    )


def _takes(converter_name: str, annotation: Any, *, is_output: bool) -> bool:
    """Whether a converter says that it takes values of this type."""
    if converter_name in ("generic", "durableClient"):
        return isinstance(annotation, type) and issubclass(annotation, str | bytes | bytearray)
    check = "check_output_type_annotation" if is_output else "check_input_type_annotation"
    try:
        return bool(getattr(converter_of(converter_name), check)(annotation))
    except (TypeError, AttributeError):  # the library's checks stumble over parametrised types
        return False


def converter_of(binding_type: str) -> Any:
    """The library's own converter of a binding type, or None."""
    return meta.get_binding_registry().get(binding_type)  # type: ignore[no-untyped-call]


def has_implicit_output(binding_type: str) -> bool:
    """Whether a returned value belongs to the trigger itself (activities and orchestrators)."""
    converter = converter_of(binding_type)
    return bool(converter is not None and getattr(converter, "has_implicit_output", lambda: False)())


def _return_converter(bindings: Sequence[Binding], annotation: Any, refuse: Refuse) -> str | None:
    """Name of the converter of the returned value; None when nothing takes one."""
    explicit = next((binding for binding in bindings if binding.name == "$return"), None)
    if explicit is None:
        return next((binding.type for binding in bindings if has_implicit_output(binding.type)), None)
    converter_name = explicit.type if converter_of(explicit.type) is not None else "generic"
    if annotation is None:
        return converter_name
    if getattr(typing.get_origin(annotation), "__name__", "") == "Out":
        raise refuse("return annotation should not be azure.functions.Out")
    if not isinstance(annotation, type):
        raise refuse(f"has invalid non-type return annotation {annotation!r}")
    if not _takes(converter_name, annotation, is_output=True):
        raise refuse(
            f'Python return annotation "{annotation.__name__}" does not match binding type "{explicit.type}"'
        )
    return converter_name
