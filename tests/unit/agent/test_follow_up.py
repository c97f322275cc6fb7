"""What a job tells goes where it was asked for, and mentions who asked where others read along."""

from typing import Any

import pytest

from agent.answer import Answer
from agent.conversation import Conversation
from agent.delivery_record import DeliveryRecord
from agent.follow_up import FollowUp, give_up, send
from agent.jobs.definition import Job
from agent.proactive_message import parse_proactive_message
from agent.stream import PACE, OpenStream
from tests.unit.turns import TENANT, Channel, incoming_activity

CARD = {"type": "AdaptiveCard", "version": "1.5", "fallbackText": "An order", "body": []}
GROUP = {"id": "19:group@thread.v2", "conversationType": "groupChat", "tenantId": TENANT}
THREAD = {"id": "19:c@thread.tacv2;messageid=17", "conversationType": "channel", "tenantId": TENANT}
PERSONAL = {"id": "a:chat", "conversationType": "personal", "tenantId": TENANT}
MENTION = {"type": "mention", "text": "<at>Alex</at>", "mentioned": {"id": "29:user", "name": "Alex"}}


@pytest.fixture
def channel() -> Channel:
    return Channel()


async def job_asked_for(channel: Channel, **fields: Any) -> Job:
    await channel.deliver(incoming_activity(**fields))
    return channel.started[-1]


async def told(channel: Channel, job: Job, answer: Answer) -> tuple[str, dict[str, Any]]:
    """Into which conversation the follow-up went, and what it says."""
    await send(FollowUp(job=job, number=2, answer=answer), services=channel.services)
    call = channel.services.connector.calls[-1]
    assert call.method == "send"
    return call.conversation_id, call.body or {}


@pytest.mark.parametrize("conversation", [GROUP, THREAD])
async def test_where_others_read_along_a_follow_up_mentions_who_asked_and_keeps_to_the_thread(
    channel: Channel, conversation: dict[str, Any]
) -> None:
    job = await job_asked_for(channel, conversation=conversation)
    where, said = await told(channel, job, Answer("It is done."))
    assert where == conversation["id"]
    assert (said["text"], said["entities"]) == ("<at>Alex</at> It is done.", [MENTION])


async def test_a_card_in_a_group_chat_calls_who_asked_by_its_text(channel: Channel) -> None:
    job = await job_asked_for(channel, conversation=GROUP)
    _, said = await told(channel, job, Answer(card=CARD))
    assert (said["text"], said["entities"], said["summary"]) == ("<at>Alex</at>", [MENTION], "An order")


async def test_a_job_that_was_asked_for_by_a_button_in_a_channel_is_told_of_in_its_thread(
    channel: Channel,
) -> None:
    button = {"text": None, "value": {"job": "order_laptop"}, "replyToId": "18"}
    job = await job_asked_for(channel, conversation=THREAD, **button)
    where, said = await told(channel, job, Answer("It is done."))
    assert where == THREAD["id"]
    assert said["entities"] == [MENTION]


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": PERSONAL},
        {"conversation": {"id": "19:group"}},
        {"conversation": GROUP, "from": {"id": "29:user"}},
    ],
)
async def test_in_a_personal_chat_and_where_no_name_is_known_nobody_is_mentioned(
    channel: Channel, fields: dict[str, Any]
) -> None:
    job = await job_asked_for(channel, **fields)
    _, said = await told(channel, job, Answer("It is done."))
    assert said["text"] == "It is done."
    assert "entities" not in said


async def test_the_acknowledgement_is_a_reply_in_the_thread(channel: Channel) -> None:
    job = await job_asked_for(channel, conversation=THREAD)
    (call,) = channel.services.connector.calls
    assert call.conversation_id == job.requested_by.conversation_id == THREAD["id"]
    assert call.reply_to_id == "incoming-1"
    assert "entities" not in (call.body or {})


async def test_what_did_not_get_through_is_kept_with_its_mention(channel: Channel) -> None:
    job = await job_asked_for(channel, conversation=GROUP)
    await give_up(FollowUp(job=job, number=2, answer=Answer("It is done.")), services=channel.services)
    record = await channel.services.ledger.read(f"{job.job_id}.2")
    assert isinstance(record, DeliveryRecord)
    assert record.body is not None
    kept = parse_proactive_message(record.body)
    assert kept.to_activity()["entities"] == [MENTION]


async def test_a_sender_of_the_queue_may_mention_somebody() -> None:
    body = b"""{"deliveryId": "d-1", "text": "It is done.", "mention": {"userId": "29:user", "name": "Alex"},
        "to": {"kind": "conversation", "channelId": "msteams", "conversationId": "19:group@thread.v2"}}"""
    outgoing = parse_proactive_message(body).to_activity()
    assert (outgoing["text"], outgoing["entities"]) == ("<at>Alex</at> It is done.", [MENTION])


def test_a_conversation_is_shared_where_it_has_several_members() -> None:
    def shared(conversation_type: str | None) -> bool:
        return Conversation(
            channel_id="msteams",
            conversation_id="c",
            service_url="https://smba.example/",
            conversation_type=conversation_type,
        ).is_shared

    assert [shared(one) for one in ("personal", "groupChat", "channel", None)] == [False, True, True, False]


async def test_a_final_keeps_its_distance_from_what_its_stream_showed_last(channel: Channel) -> None:
    job, clock = await job_asked_for(channel), channel.services.clock
    shown_at = clock.now()
    stream = OpenStream(stream_id="stream-1", shown_at=shown_at)
    await send(
        FollowUp(job=job, number=2, answer=Answer("It is done."), stream=stream), services=channel.services
    )
    assert clock.now() - shown_at == PACE
