"""The copy is what deepcopy makes, and shares nothing that can change."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from botbuilder.schema import Activity, ActivityTypes, Attachment, HeroCard
from msrest.serialization import Model

from adapters.model_codec import read
from adapters.model_copy import copied
from tests.unit.adapters.beside_msrest import CORPUS, from_corpus, laid_out


def changeable(value: Any) -> list[Any]:
    """Every model, dict and list in the value."""
    children: list[Any] = []
    if isinstance(value, Model):
        children = list(vars(value).values())
    elif isinstance(value, dict):
        children = list(value.values())
    elif isinstance(value, list):
        children = value
    else:
        return []
    return [value, *(found for child in children for found in changeable(child))]


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_a_copy_equals_what_deepcopy_makes_and_shares_nothing(file: Path) -> None:
    incoming = read(Activity, from_corpus(file))
    copy = copied(incoming)
    assert laid_out(copy) == laid_out(deepcopy(incoming)) == laid_out(incoming)
    assert not {id(one) for one in changeable(copy)} & {id(one) for one in changeable(incoming)}


def test_what_is_neither_model_nor_json_is_copied_by_deepcopy() -> None:
    class Special(HeroCard):  # type: ignore[misc]
        def __deepcopy__(self, memo: dict[int, Any]) -> str:
            return "its own way"

    made = Activity(
        type=ActivityTypes.message,
        attachments=[Attachment(content=Special())],
        channel_data={"tags": {"a", "b"}},
    )
    copy = copied(made)
    assert copy.type is ActivityTypes.message
    assert copy.attachments[0].content == "its own way"
    assert copy.channel_data == {"tags": {"a", "b"}}
    assert copy.channel_data["tags"] is not made.channel_data["tags"]
