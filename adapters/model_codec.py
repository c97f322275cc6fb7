"""Plain JSON to msrest models and back, compiled once a model class; msrest interprets its map each time.

``read`` and ``write`` say what msrest's ``deserialize`` and ``serialize`` say, and refuse what they refuse.
These differences are meant:

- ``additional_properties`` are written, at every level; msrest reads them and drops them on the way out.
- An ``object`` that holds an Enum, a tuple, or a subclass of dict or list is written as JSON knows it;
  msrest refuses botbuilder's Enums there and writes the others' ``repr``.
- What cannot be written inside an ``object`` is refused; msrest writes null for it, or leaves it out.
- A time that is read has the standard library's ``timezone``, not isodate's; instant and offset are equal.
- What is refused raises DoesNotFit, also for a number too large or JSON too deep (msrest: whatever comes up).
"""

import datetime
import inspect
import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from functools import cache, cached_property, partial
from typing import Any, TypeVar

from msrest.serialization import Deserializer, Model, Serializer

Convert = Callable[[Any], Any]
M = TypeVar("M")

# The form in which channels write times; any other is left to msrest.
USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
MISFITS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
JSON_SCALARS = frozenset({str, int, bool, float, type(None)})


class DoesNotFit(Exception):
    """A value is not of the type that its model asks for; the value is not said, for it may be user text."""


def read(model: type[M], data: Any) -> M:
    """The JSON object as this model. Raises DoesNotFit."""
    try:
        found: M = _reader(model)(data)
    except MISFITS:
        # Nothing of the cause is kept: it quotes the value.
        raise DoesNotFit(f"a property of {model.__name__} has the wrong type") from None
    return found


def write(model: Any) -> dict[str, Any]:
    """The model as a JSON object. Raises DoesNotFit."""
    try:
        written: dict[str, Any] = _writer(type(model))(model)
    except MISFITS:
        raise DoesNotFit(f"{type(model).__name__} has a property of the wrong type") from None
    return written


class _ModelReader:
    """Reads one model class; its fields are compiled when the first is read, for models name each other."""

    def __init__(self, model: type[Any]) -> None:
        self._model = model
        parameters = inspect.signature(model.__init__).parameters
        defaults = {name: parameter.default for name, parameter in parameters.items()}
        # msrest passes None for what is absent: it matters where the constructor has another default.
        self._nothing = {name: None for name in model._attribute_map if defaults.get(name, model) is not None}

    @cached_property
    def _fields(self) -> dict[str, tuple[str, Convert]]:
        classes = self._model._infer_class_models()
        return {
            described["key"]: (name, _value_reader(described["type"], classes))
            for name, described in self._model._attribute_map.items()
        }

    def __call__(self, data: Any) -> Any:
        fields = self._fields
        values: dict[str, Any] = self._nothing.copy()
        unknown = {}
        for key, value in data.items():
            field = fields.get(key)
            if field is None:
                unknown[key] = value
            elif value is not None:
                values[field[0]] = field[1](value)
        model = self._model(**values)
        if unknown:
            model.additional_properties = unknown
        return model


class _ModelWriter:
    """Writes one model class: its own properties in the order of its map, then the additional ones."""

    def __init__(self, model: type[Any]) -> None:
        self._model = model

    @cached_property
    def _fields(self) -> list[tuple[str, str, Convert]]:
        classes = self._model._infer_class_models()
        return [
            (name, described["key"], _value_writer(described["type"], classes))
            for name, described in self._model._attribute_map.items()
        ]

    def __call__(self, model: Any) -> dict[str, Any]:
        written = {}
        name = "additional_properties"
        try:
            for name, key, convert in self._fields:
                value = getattr(model, name)
                if value is not None:
                    written[key] = convert(value)
            name = "additional_properties"
            additional = getattr(model, name, None)
            if additional:
                for key, value in _write_object(additional).items():
                    written.setdefault(key, value)
        except MISFITS:
            raise DoesNotFit(f"{self._model.__name__}.{name} has the wrong type") from None
        return written


def _compile_reader(model: type[Any]) -> Convert:
    return _ModelReader(model) if _is_plain(model) else model.deserialize


def _compile_writer(model: type[Any]) -> Convert:
    return _ModelWriter(model) if _is_plain(model) else model.serialize


def _is_plain(model: type[Any]) -> bool:
    """Whether the map says all. A model with subtypes, read-only or nested properties is left to msrest."""
    keys = [described["key"] for described in model._attribute_map.values()]
    return (
        not any(rule.get("readonly") or rule.get("constant") for rule in model._validation.values())
        and not model._subtype_map
        and not model.is_xml_model()
        and "additional_properties" not in model._attribute_map
        and not any("." in key for key in keys)
        and len(set(keys)) == len(keys)
    )


def _value_reader(kind: str, classes: dict[str, type[Any]]) -> Convert:
    known: Convert | None = READERS.get(kind)
    if known:
        return known
    if kind[0] + kind[-1] == "[]":
        return partial(_read_list, _value_reader(kind[1:-1], classes))
    if kind[0] + kind[-1] == "{}":
        return partial(_read_dict, _value_reader(kind[1:-1], classes))
    found = classes.get(kind)
    if found and issubclass(found, Enum):
        return partial(Deserializer.deserialize_enum, enum_obj=found)
    return _reader(found) if found else _refuse


def _value_writer(kind: str, classes: dict[str, type[Any]]) -> Convert:
    known: Convert | None = WRITERS.get(kind)
    if known:
        return known
    if kind[0] + kind[-1] == "[]":
        return partial(_write_list, _value_writer(kind[1:-1], classes))
    if kind[0] + kind[-1] == "{}":
        return partial(_write_dict, _value_writer(kind[1:-1], classes))
    found = classes.get(kind)
    if found and issubclass(found, Enum):
        return partial(Serializer.serialize_enum, enum_obj=found)
    return _write_model


def _read_bool(value: Any) -> bool:
    return value if type(value) is bool else bool(Deserializer().deserialize_basic(value, "bool"))


def _read_time(text: Any) -> Any:
    if type(text) is str and USUAL_TIME.fullmatch(text):
        try:
            found = datetime.datetime.fromisoformat(text)
        except ValueError:
            return Deserializer.deserialize_iso(text)
        if datetime.MINYEAR < found.year < datetime.MAXYEAR:
            return found
    return Deserializer.deserialize_iso(text)


def _read_object(value: Any) -> Any:
    """A copy, as msrest makes one: what a bot changes stays in its activity."""
    kind = type(value)
    if kind is dict:
        return {key: _read_object(child) for key, child in value.items()}
    if kind is list:
        return [_read_object(child) for child in value]
    return value


def _read_list(convert: Convert, value: Any) -> list[Any]:
    if type(value) is not list:
        raise TypeError("not a list")
    return [None if child is None else convert(child) for child in value]


def _read_dict(convert: Convert, value: Any) -> dict[str, Any]:
    pairs = [(pair["key"], pair["value"]) for pair in value] if type(value) is list else value.items()
    return {key: None if child is None else convert(child) for key, child in pairs}


def _refuse(value: Any) -> Any:
    raise TypeError(f"a {type(value).__name__} for a class that is not beside the model's")


def _write_str(value: Any) -> Any:
    if type(value) is str:
        return value
    return value.value if hasattr(value, "value") else str(value)


def _write_object(value: Any) -> Any:
    kind = type(value)
    if kind in JSON_SCALARS:
        return value
    if isinstance(value, dict):
        return {_write_str(key): _write_object(child) for key, child in value.items()}
    if isinstance(value, (list, tuple)):
        return [_write_object(child) for child in value]
    if isinstance(value, Model):
        return _writer(kind)(value)
    if isinstance(value, Enum):
        return value.value
    return OBJECT_WRITERS.get(kind, str)(value)


def _write_list(convert: Convert, value: Any) -> list[Any]:
    if isinstance(value, str):
        raise TypeError("a text is no list")
    return [None if child is None else convert(child) for child in value]


def _write_dict(convert: Convert, value: Any) -> dict[str, Any]:
    return {_write_str(key): None if child is None else convert(child) for key, child in value.items()}


def _write_model(value: Any) -> Any:
    """The class of the value decides, not the map's: a Mention is written as one among entities."""
    if type(value) in JSON_SCALARS:
        return value
    if not isinstance(value, Model):
        raise TypeError("not a model")
    return _writer(type(value))(value)


_reader: Callable[[Any], Convert] = cache(_compile_reader)
_writer: Callable[[Any], Convert] = cache(_compile_writer)

READERS: dict[str, Any] = {
    **Deserializer().deserialize_type,
    "str": str,
    "int": int,
    "float": float,
    "bool": _read_bool,
    "iso-8601": _read_time,
    "object": _read_object,
}
WRITERS: dict[str, Any] = {
    **Serializer().serialize_type,
    "str": _write_str,
    "int": int,
    "float": float,
    "bool": bool,
    "object": _write_object,
}
OBJECT_WRITERS: dict[type[Any], Convert] = {
    datetime.datetime: Serializer.serialize_iso,
    datetime.date: Serializer.serialize_date,
    datetime.time: Serializer.serialize_time,
    datetime.timedelta: Serializer.serialize_duration,
    Decimal: float,
}
