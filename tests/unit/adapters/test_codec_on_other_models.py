"""The codec on models beyond Activity: defaults, enums, other kinds, and what is left to msrest."""

import json
from enum import Enum
from typing import Any

import pytest
from azure.core.exceptions import DeserializationError
from botbuilder.schema import TokenExchangeState
from botbuilder.schema.teams import FileConsentCard, TaskModuleContinueResponse
from msrest.serialization import Model

from adapters.model_codec import DoesNotFit, read, write
from tests.unit.adapters.beside_msrest import laid_out


class Colour(Enum):
    red = "Red"
    blue = "Blue"


class Part(Model):
    _attribute_map = {  # noqa: RUF012 - msrest's form
        "colour": {"key": "colour", "type": "Colour"},
        "wait": {"key": "wait", "type": "duration"},
        "day": {"key": "day", "type": "date"},
        "data": {"key": "data", "type": "bytearray"},
        "grid": {"key": "grid", "type": "[[int]]"},
        "named": {"key": "named", "type": "{[Part]}"},
        "stranger": {"key": "stranger", "type": "Stranger"},
    }

    @classmethod
    def _infer_class_models(cls) -> dict[str, Any]:
        return {"Colour": Colour, "Part": Part, "Guarded": Guarded}


class Guarded(Part):
    _validation = {"etag": {"readonly": True}}  # noqa: RUF012 - msrest's form
    _attribute_map = {  # noqa: RUF012 - msrest's form
        "etag": {"key": "etag", "type": "str"},
        "size": {"key": "properties.size", "type": "int"},
    }


class Preset(Model):
    _attribute_map = {"size": {"key": "size", "type": "int"}}  # noqa: RUF012 - msrest's form

    def __init__(self, *, size: int | None = 7, **rest: Any) -> None:
        super().__init__(**rest)  # type: ignore[no-untyped-call]
        self.size = size


@pytest.mark.parametrize(
    ("model", "raw"),
    [
        (Preset, {}),
        (Preset, {"size": None}),
        (Preset, {"size": "9"}),
        (FileConsentCard, {"description": "d", "sizeInBytes": "7"}),
        (TokenExchangeState, {"connectionName": "graph", "unknown": 1}),
        (Part, {"colour": "red", "wait": "PT1H", "day": "2026-12-24", "data": "AAE="}),
        (Part, {"grid": [[1, "2"], None, []], "named": {"a": [{"colour": "Blue"}, None], "b": None}}),
        (Guarded, {"etag": "e", "properties": {"size": "3"}}),
    ],
)
def test_a_model_is_read_and_written_as_by_msrest(model: Any, raw: dict[str, Any]) -> None:
    found = read(model, raw)
    assert laid_out(found) == laid_out(model.deserialize(raw))
    found.additional_properties = {}
    assert json.dumps(write(found)) == json.dumps(found.serialize())


@pytest.mark.parametrize(
    ("model", "raw"),
    [
        (TaskModuleContinueResponse, {"type": "continue"}),  # its constructor takes no type
        (Part, {"colour": 7}),
        (Part, {"wait": "secret"}),
        (Part, {"day": "secret"}),
        (Part, {"grid": [["secret"]]}),
        (Part, {"stranger": "secret"}),
        (Guarded, {"properties": {"size": "secret"}}),
    ],
)
def test_a_wrong_type_is_refused_without_quoting_it(model: Any, raw: dict[str, Any]) -> None:
    with pytest.raises(DeserializationError):
        model.deserialize(raw)
    with pytest.raises(DoesNotFit, match=rf"^a property of {model.__name__} has the wrong type$"):
        read(model, raw)


@pytest.mark.parametrize(
    ("model", "values"),
    [(Part, {"colour": "secret"}), (Part, {"grid": 7}), (Guarded, {"size": "secret"})],
)
def test_what_does_not_fit_is_not_written(model: Any, values: dict[str, Any]) -> None:
    with pytest.raises(DoesNotFit) as refused:
        write(model(**values))
    assert "secret" not in str(refused.value)
