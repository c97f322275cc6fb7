"""How deep a JSON text is nested, told without parsing it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.incoming import BadTurn, parse_incoming
from agent.json_depth import DEEPEST, is_nested_deeper
from agent.proactive_message import UnusableMessage, parse_proactive_message
from tests.unit.turns import incoming_activity

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(alphabet='[]{}"\\ab\u00e9\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='[]{}"\\a'), inner),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def nested(levels: int) -> Any:
    value: Any = "the end"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


@given(ANY_JSON, st.integers(0, 6), st.booleans())
def test_it_counts_as_a_parser_would_whatever_stands_in_the_texts(
    value: Any, deepest: int, is_ascii: bool
) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii).encode()
    assert is_nested_deeper(text, deepest) is (depth(value) > deepest)


@pytest.mark.parametrize(
    "text",
    ['"' * 3, "\\", "]" * 200 + "[" * 100, '{"a": "' + "[" * 200, "[" * 200 + "]" * 300, '"\\"' + "{" * 99],
)
def test_what_is_no_json_is_told_apart_without_a_fault(text: str) -> None:
    assert is_nested_deeper(text.encode()) in (True, False)


def test_a_turn_may_be_as_deep_as_is_allowed_and_no_deeper() -> None:
    def body(levels: int) -> bytes:
        return json.dumps(incoming_activity(value=nested(levels - 1))).encode()

    parse_incoming(body(DEEPEST))
    with pytest.raises(BadTurn, match="nested"):
        parse_incoming(body(DEEPEST + 1))


def test_a_proactive_message_may_be_as_deep_as_is_allowed_and_no_deeper() -> None:
    def body(levels: int) -> bytes:
        to = {"kind": "user", "tenantId": "t", "aadObjectId": "u"}
        card = {"type": "AdaptiveCard", "in": nested(levels - 2)}
        return json.dumps({"deliveryId": "one", "to": to, "card": card}).encode()

    parse_proactive_message(body(DEEPEST))
    with pytest.raises(UnusableMessage, match="nested"):
        parse_proactive_message(body(DEEPEST + 1))
