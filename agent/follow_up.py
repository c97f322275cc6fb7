"""A follow-up: one thing that a job tells its user, later, in the conversation in which it was asked for."""

import msgspec

from agent.answer import Answer
from agent.conversation import Conversation
from agent.delivery import deliver
from agent.delivery_record import DeliveryState
from agent.jobs.definition import Job
from agent.mention import Mention
from agent.ports import Services
from agent.proactive_message import ProactiveMessage, ToConversation
from agent.stream import OpenStream
from agent.told_in_turn import ACKNOWLEDGED_SOON, LOOK_AGAIN_SECONDS, acknowledged
from agent.undelivered import close_undelivered


class FollowUp(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The ``number``-th thing this job tells, from 1; as the final of ``stream`` where that is still open.

    ``is_unseen``: the orchestration has not seen yet what its turn opened, which may be a stream.
    """

    job: Job
    number: int
    answer: Answer
    stream: OpenStream | None = None
    is_unseen: bool = False


class FollowUpSent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it went. ``busy``: send it again in ``retry_in`` seconds; ``gone``: the user cannot be reached."""

    outcome: DeliveryState
    retry_in: float = 0.0


def _message(follow_up: FollowUp) -> ProactiveMessage:
    conversation = follow_up.job.requested_by
    return ProactiveMessage(
        delivery_id=f"{follow_up.job.job_id}.{follow_up.number}",
        to=ToConversation(channel_id=conversation.channel_id, conversation_id=conversation.conversation_id),
        text=follow_up.answer.text,
        card=follow_up.answer.card,
        citations=follow_up.answer.citations,
        is_generated=follow_up.answer.is_generated,
        mention=_mention(conversation),
    )


def _mention(conversation: Conversation) -> Mention | None:
    """Who asked, where others read along; nobody, where the channel told no name."""
    if not (conversation.is_shared and conversation.user_id and conversation.user_name):
        return None
    return Mention(conversation.user_id, conversation.user_name)


async def give_up(follow_up: FollowUp, *, services: Services) -> FollowUpSent:
    """End the delivery of a follow-up that did not get through, its message kept in the ledger."""
    body = msgspec.json.encode(_message(follow_up))
    record = await close_undelivered(body, ledger=services.ledger, clock=services.clock)
    return FollowUpSent(outcome=record.state)


async def send(follow_up: FollowUp, *, services: Services) -> FollowUpSent:
    """Deliver the follow-up, once however often this is called. Raises what ``deliver`` raises.

    The first one does not overtake the acknowledgement: it is ``busy`` while the turn is at work.
    """
    stream = follow_up.stream
    if follow_up.number == 1 and follow_up.job.version >= 2:
        claim = await acknowledged(follow_up.job.job_id, at_most=ACKNOWLEDGED_SOON, services=services)
        if claim and claim.state != "acknowledged":
            return FollowUpSent(outcome="busy", retry_in=LOOK_AGAIN_SECONDS)
        if follow_up.is_unseen and claim and claim.opened_view:
            stream = claim.opened_view.open_stream
    if stream:
        await services.clock.sleep(stream.pause(services.clock.now()).total_seconds())
    async with services.doors.through(follow_up.job.requested_by.tenant_id):
        record = await deliver(
            _message(follow_up),
            when_ambiguous=services.delivery_options.ambiguous_sends or "resend",
            services=services,
            stream=stream,
        )
    if record.waits_until is None:
        return FollowUpSent(outcome=record.state)
    retry_in = (record.waits_until - services.clock.now()).total_seconds()
    return FollowUpSent(outcome="busy", retry_in=max(retry_in, 0.0))
