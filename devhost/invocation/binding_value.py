"""From what a binding gives to the value of a parameter, and back."""

from collections.abc import Mapping
from typing import Any

import azure.functions as func
from azure.functions.meta import Datum

from devhost.indexing.function_signature import converter_of


def decode(converter_name: str, datum: Datum, metadata: Mapping[str, Datum]) -> Any:
    """Value for a parameter, from what its binding gives. Raises NotImplementedError when it does not fit."""
    if datum.type == "object":  # the trigger has made itself what the converter would make
        return datum.value
    if converter_name == "generic":
        if datum.type not in ("string", "bytes", "json", None):
            raise ValueError(f'unexpected type of data received for the "generic" binding: {datum.type!r}')
        return datum.value
    converter = converter_of(converter_name)
    try:
        return converter.decode(datum, trigger_metadata=metadata)
    except NotImplementedError:
        raise TypeError(
            "unable to decode incoming TypedData: unsupported combination of "
            f"TypedData field {datum.type!r} and expected binding type {converter}"
        ) from None


def encode(converter_name: str, value: Any, python_type: Any) -> Datum:
    """What a binding is given, from a function's value. Raises NotImplementedError when it does not fit."""
    if converter_name == "generic":
        if isinstance(value, str):
            return Datum(value, "string")
        if isinstance(value, bytes | bytearray):
            return Datum(bytes(value), "bytes")
        raise _not_encodable("GenericBinding", value)
    if converter_name == "http" and isinstance(value, func.HttpResponse):
        return Datum(value, "object")  # the HTTP listener writes it as it is
    converter = converter_of(converter_name)
    try:
        encoded = converter.encode(value, expected_type=python_type)
    except NotImplementedError:
        raise _not_encodable(converter, value) from None
    assert isinstance(encoded, Datum)
    return encoded


def _not_encodable(converter: object, value: object) -> TypeError:
    return TypeError(
        f'unable to encode outgoing TypedData: unsupported type "{converter}" '
        f'for Python type "{type(value).__name__}"'
    )
