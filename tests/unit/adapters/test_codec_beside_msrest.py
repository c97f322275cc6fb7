"""The compiled codec beside msrest, on a corpus and on generated activities: it loses nothing on the way."""

import copy
import json
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import SerializationError
from botbuilder.core import TurnContext
from botbuilder.schema import Activity, ChannelAccount
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.model_codec import DoesNotFit, read, write
from tests.unit.adapters.beside_msrest import (
    CORPUS,
    REFUSED,
    from_corpus,
    laid_out,
    read_by_msrest,
    read_by_us,
    without_additional,
)


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_an_activity_of_the_corpus_is_read_as_msrest_reads_it(file: Path) -> None:
    raw = from_corpus(file)
    untouched = copy.deepcopy(raw)
    assert read_by_us(raw) == read_by_msrest(raw) != REFUSED
    assert raw == untouched


@pytest.mark.parametrize("file", CORPUS, ids=lambda file: file.stem)
def test_what_msrest_writes_of_it_is_written_alike_and_in_its_order(file: Path) -> None:
    incoming = read(Activity, from_corpus(file))
    bare = without_additional(incoming)
    assert json.dumps(write(bare)) == json.dumps(incoming.serialize())


EXACT = [file for file in CORPUS if file.stem not in ("types_that_are_converted", "nulls_and_empty_lists")]


@pytest.mark.parametrize("file", EXACT, ids=lambda file: file.stem)
def test_it_comes_back_as_it_was_but_for_times_in_utc_and_nulls_of_known_properties(file: Path) -> None:
    raw = from_corpus(file)
    back = write(read(Activity, raw))
    for key in ("timestamp", "localTimestamp", "expiration"):
        assert (key in back) == (key in raw)
        if key in raw:
            assert back.pop(key).endswith("Z")
            del raw[key]
    for known in (raw, raw.get("conversation", {})):
        for key in [key for key, value in known.items() if value is None and key != "anotherNew"]:
            del known[key]
    if raw.get("semanticAction"):
        assert back["semanticAction"]["entities"].pop("none", "gone") is None
        del raw["semanticAction"]["entities"]["none"]
    assert back == raw


def test_the_corpus_is_there() -> None:
    assert len(CORPUS) > 40


def test_a_reply_carries_tenant_and_streaming_where_msrest_drops_them() -> None:
    incoming = read(Activity, from_corpus(CORPUS[0].with_name("copilot_turn.json")))
    outgoing = read(Activity, from_corpus(CORPUS[0].with_name("stream_streaming.json")))
    reference = TurnContext.get_conversation_reference(incoming)
    said = write(TurnContext.apply_conversation_reference(copy.deepcopy(outgoing), reference))
    assert said["conversation"]["tenantId"] == incoming.channel_data["tenant"]["id"]
    assert said["entities"] == [
        {"type": "streaminfo", "streamId": "a-0000l", "streamType": "streaming", "streamSequence": 2}
    ]
    assert said["replyToId"] == incoming.id
    assert "tenantId" not in outgoing.serialize()["conversation"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from("abc"), children, max_size=3)
    ),
    max_leaves=6,
)
times = st.datetimes().map(lambda moment: f"{moment.isoformat()}Z") | st.from_regex(
    r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-6]\d(\.\d{1,9})?(Z|[+-][0-2]\d:[0-5]\d)?", fullmatch=True
)


def fitting(kind: str, depth: int) -> st.SearchStrategy[Any]:
    """JSON that a property of this kind of the schema may hold."""
    if kind[0] + kind[-1] == "[]":
        return st.lists(mostly(kind[1:-1], depth), max_size=2)
    if kind[0] + kind[-1] == "{}":
        return st.dictionaries(st.sampled_from("ab"), mostly(kind[1:-1], depth), max_size=2)
    plain: dict[str, st.SearchStrategy[Any]] = {
        "str": st.text(max_size=5),
        "bool": st.booleans() | st.sampled_from(["true", "False", "1", 0, 1.0]),
        "int": st.integers(0, 9) | st.sampled_from(["7", 2.5, True]),
        "iso-8601": times,
        "object": json_values,
    }
    return plain[kind] if kind in plain else model_json(MODELS[kind], depth - 1)


def mostly(kind: str, depth: int) -> st.SearchStrategy[Any]:
    return st.integers(0, 19).flatmap(
        lambda dice: json_values if dice == 0 else st.none() if dice == 1 else fitting(kind, depth)
    )


def later(kind: str, depth: int) -> st.SearchStrategy[Any]:
    return st.deferred(lambda: mostly(kind, depth))


def model_json(model: type[Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if depth < 0:
        return st.just({})
    known = {described["key"]: later(described["type"], depth) for described in model._attribute_map.values()}
    unknown = {"tenantId": json_values, "@type": json_values, "streamType": st.text(max_size=3)}
    return st.lists(st.sampled_from([*known, *unknown]), unique=True, max_size=5).flatmap(
        lambda keys: st.fixed_dictionaries({key: {**known, **unknown}[key] for key in keys})
    )


MODELS: dict[str, type[Any]] = Activity._infer_class_models()
generated = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@generated
@given(model_json(Activity, 2))
def test_any_activity_is_read_and_written_as_by_msrest_or_refused_by_both(raw: dict[str, Any]) -> None:
    expected = read_by_msrest(raw)
    assert read_by_us(raw) == expected
    if expected is not REFUSED:
        incoming = read(Activity, raw)
        assert json.dumps(write(without_additional(incoming))) == json.dumps(incoming.serialize())
        again = read(Activity, write(incoming))
        assert laid_out(in_utc(again)) == laid_out(in_utc(incoming))


def in_utc(incoming: Activity) -> Activity:
    """msrest writes times in UTC, and takes one without an offset for UTC."""
    for name in ("timestamp", "local_timestamp", "expiration"):
        found = getattr(incoming, name)
        if found is not None:
            setattr(incoming, name, found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC))
    return incoming


anything = json_values | st.builds(ChannelAccount, id=json_values, properties=json_values)
attributes = st.dictionaries(st.sampled_from(sorted(Activity._attribute_map)), anything, max_size=4)


@generated
@given(attributes)
def test_whatever_a_bot_puts_into_an_activity_is_written_as_by_msrest_or_refused_by_both(
    values: dict[str, Any],
) -> None:
    made = Activity(**values)
    try:
        expected = made.serialize()
    except (SerializationError, OverflowError):
        with pytest.raises(DoesNotFit):
            write(made)
    else:
        assert json.dumps(write(made)) == json.dumps(expected)
