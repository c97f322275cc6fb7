"""What the codec refuses, converts and keeps; where msrest has a say, it is asked."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from azure.core.exceptions import SerializationError
from botbuilder.schema import (
    ActionTypes,
    Activity,
    ActivityTypes,
    Attachment,
    CardAction,
    ChannelAccount,
    ConversationAccount,
    Entity,
    ExpectedReplies,
    HeroCard,
    Mention,
    TokenExchangeState,
)
from botbuilder.schema.teams import FileConsentCard, TaskModuleContinueResponse, TaskModuleTaskInfo

from adapters.model_codec import DoesNotFit, read, write
from tests.unit.adapters.beside_msrest import REFUSED, read_by_msrest, read_by_us


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "Alex"},
        {"from": ["Alex"]},
        {"conversation": 7},
        {"conversation": {"isGroup": "perhaps"}},
        {"attachments": {"content": "secret"}},
        {"attachments": "secret"},
        {"attachments": ["secret"]},
        {"entities": [[{"type": "mention"}]]},
        {"timestamp": "secret"},
        {"timestamp": 1700000000},
        {"timestamp": "0001-01-01T00:00:00+05:00"},
        {"timestamp": "2026-02-30T00:00:00Z"},
        {"timestamp": "2026-02-03T00:00:00+99:00"},
        {"historyDisclosed": "secret"},
        {"historyDisclosed": []},
        {"textHighlights": [{"occurrence": "secret"}]},
        {"textHighlights": [{"occurrence": float("inf")}]},
        {"semanticAction": {"entities": ["secret"]}},
        {"semanticAction": {"entities": [{"value": {}}]}},
        {"semanticAction": {"entities": "secret"}},
        {"listenFor": {"0": "secret"}},
    ],
    ids=str,
)
def test_a_wrong_type_is_refused_where_msrest_refuses_it_and_not_quoted(wrong: dict[str, Any]) -> None:
    assert read_by_msrest(wrong) is REFUSED
    with pytest.raises(DoesNotFit, match=r"^a property of Activity has the wrong type$") as refused:
        read(Activity, wrong)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_json_too_deep_to_be_copied_is_refused() -> None:
    deep: Any = {}
    for _ in range(100_000):
        deep = {"value": deep}
    with pytest.raises(DoesNotFit):
        read(Activity, {"value": deep})


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-24T08:14:10Z",
        "2026-11-24T08:14:10.1234567Z",
        "2026-11-24T08:14:10.123456789-08:00",
        "2026-11-24T08:14:10.1+05:45",
        "2026-11-24T08:14:10",
        "2026-11-24T08:14:10.12",
        "2026-11-24t08:14:10z",
        "2026-11-24T08:14:10+0200",
        "2026-11-24T08:14:10+02",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
    ],
)
def test_a_time_is_read_as_msrest_reads_it(text: str) -> None:
    assert read_by_us({"timestamp": text}) == read_by_msrest({"timestamp": text}) != REFUSED


AWARE = datetime(2026, 11, 24, 8, 14, 10, 123000, tzinfo=UTC)


@pytest.mark.parametrize(
    "made",
    [
        Activity(type=ActivityTypes.message, text="hi", text_format="plain"),
        Activity(timestamp=AWARE, local_timestamp=AWARE.astimezone(), expiration="2026-11-24T08:14:10+01:00"),
        Activity(
            entities=[Mention(mentioned=ChannelAccount(id="29:jo"), text="<at>Jo</at>", type="mention")]
        ),
        Activity(attachments=(Attachment(content=HeroCard(buttons=[CardAction(type=ActionTypes.im_back)])),)),
        Activity(
            value={"when": AWARE, "day": date(2026, 1, 2), "wait": timedelta(hours=1), "x": Decimal("1.5")}
        ),
        Activity(value=[ChannelAccount(id="1"), None, {1: 2, None: 3, ActivityTypes.event: 4}]),
        Activity(value=object),
        Activity(text=7, name=["a"], history_disclosed="false", listen_for=("a", None, 1)),
        Activity(conversation="a:chat", from_property=7, recipient=True),
        ExpectedReplies(activities=[Activity(type="message"), None]),
        FileConsentCard(description="d", size_in_bytes=12.0, accept_context={"a": 1}),
        TaskModuleContinueResponse(value=TaskModuleTaskInfo(title="t", height=1, card=Attachment(name="n"))),
        TokenExchangeState(connection_name="graph"),
    ],
    ids=lambda made: json.dumps(made.serialize(), default=str)[:50],
)
def test_what_a_bot_makes_is_written_as_msrest_writes_it(made: Any) -> None:
    assert json.dumps(write(made)) == json.dumps(made.serialize())


@pytest.mark.parametrize(
    "made",
    [
        Activity(from_property={"id": "secret"}),
        Activity(conversation=["secret"]),
        Activity(attachments="secret"),
        Activity(attachments=7),
        Activity(attachments=[{"content": "secret"}]),
        Activity(timestamp="secret"),
        Activity(timestamp=7),
        Activity(attachments=[Attachment(content=ChannelAccount(properties=Activity(timestamp="secret")))]),
    ],
    ids=range(8),
)
def test_what_msrest_does_not_write_is_refused_by_the_name_of_its_property(made: Activity) -> None:
    with pytest.raises(SerializationError):
        made.serialize()
    with pytest.raises(DoesNotFit, match=r"^Activity\.\w+ has the wrong type$") as refused:
        write(made)
    assert "secret" not in str(refused.value)


def test_an_object_is_written_as_json_knows_it() -> None:
    class Sizes(dict[str, Any]):
        pass

    value = {"enum": ActionTypes.im_back, "tuple": (1, (2,)), "dict": Sizes(width=7)}
    assert write(Activity(value=value)) == {
        "value": {"enum": "imBack", "tuple": [1, [2]], "dict": {"width": 7}}
    }


def test_what_cannot_be_written_inside_an_object_is_not_dropped_silently() -> None:
    unwritable = Activity(timestamp="secret")
    assert Activity(value={"a": unwritable}).serialize() == {"value": {"a": None}}
    with pytest.raises(DoesNotFit):
        write(Activity(value={"a": unwritable}))


def test_additional_properties_are_written_and_do_not_displace_a_property() -> None:
    entity = Entity(type="streaminfo")
    entity.additional_properties = {"streamType": "final", "type": "other", "at": AWARE}
    assert write(Activity(type="message", entities=[entity])) == {
        "type": "message",
        "entities": [{"streamType": "final", "type": "streaminfo", "at": "2026-11-24T08:14:10.123Z"}],
    }


def test_a_bot_that_changes_what_it_read_changes_only_its_activity() -> None:
    raw: dict[str, Any] = {"value": {"a": [1]}, "channelData": {"tenant": {"id": "t"}}}
    incoming = read(Activity, raw)
    incoming.value["a"].append(2)
    incoming.channel_data["tenant"]["id"] = "other"
    assert raw == {"value": {"a": [1]}, "channelData": {"tenant": {"id": "t"}}}


def test_an_attribute_that_a_bot_sets_or_takes_away_is_written_so() -> None:
    incoming = read(Activity, {"conversation": {"id": "a", "tenantId": "t"}, "text": "hi"})
    incoming.text = None
    incoming.conversation = ConversationAccount(id="b")
    assert write(incoming) == {"conversation": {"id": "b"}}
