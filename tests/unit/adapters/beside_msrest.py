"""What msrest says of an activity, to hold the codec to."""

import copy
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import DeserializationError
from botbuilder.schema import Activity
from msrest.serialization import Model

from adapters.model_codec import DoesNotFit, read

CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
REFUSED = object()


def from_corpus(file: Path) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return raw


def laid_out(value: Any) -> Any:
    """The value with its types, at every level: a model as class and attributes, a time with its offset."""
    if isinstance(value, Model):
        return type(value), {name: laid_out(child) for name, child in vars(value).items()}
    if isinstance(value, datetime):
        return datetime, value.replace(tzinfo=None), value.utcoffset()
    if isinstance(value, dict):
        return {key: laid_out(child) for key, child in value.items()}
    if isinstance(value, list):
        return [laid_out(child) for child in value]
    return type(value), repr(value)


def read_by_msrest(raw: Any) -> Any:
    try:
        return laid_out(Activity().deserialize(copy.deepcopy(raw)))
    except (DeserializationError, OverflowError):
        return REFUSED


def read_by_us(raw: Any) -> Any:
    try:
        return laid_out(read(Activity, raw))
    except DoesNotFit:
        return REFUSED


def without_additional(value: Any) -> Any:
    if isinstance(value, list):
        return [without_additional(child) for child in value]
    if isinstance(value, dict):
        return {key: without_additional(child) for key, child in value.items()}
    if isinstance(value, Model):
        bare = copy.copy(value)
        for name, child in vars(value).items():
            setattr(bare, name, without_additional(child))
        bare.additional_properties = {}
    else:
        bare = value
    return bare
