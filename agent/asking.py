"""How a job's approval is asked for, ends and is shown, each step once however often it is called.

Called by the activities.
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from agent.answer import Answer
from agent.approval import (
    ApprovalEntry,
    approval_card,
    approval_id_of,
    put_to_key,
    reminder,
    told_to_asker,
    without_links,
)
from agent.delivery import deliver
from agent.delivery_record import DeliveryRecord, DeliveryState
from agent.job_entry import Progress
from agent.job_view import TEAMS
from agent.jobs.catalog import gives_up_at, job_of, title_of
from agent.jobs.definition import Approved, Cancelled, Failed, Job, Rejected, Waiting
from agent.jobs.entries import entry_of
from agent.jobs.running import end_broken, noting_why, offered
from agent.ports import ActivityNotFound, ChannelBusy, ChannelRefused, ConversationGone, Services
from agent.proactive_message import ProactiveMessage, ToConversation, ToUser
from agent.told_in_turn import acknowledged
from agent.turn_claim import CLAIM_HOLDS

WAITING = Waiting(state={}, check_in=timedelta(0), progress=Progress(step="Waits for an answer"))
# What became of a question that counts as asked: what may have arrived may be answered.
ARRIVED: frozenset[DeliveryState] = frozenset({"sent", "ambiguous"})
LOST = "what was asked is lost"  # as the board and the ledger tell it
Wanted = Literal["", "expired", "withdrawn", "unreachable"]


class Asked(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the asking went, and where the card is. ``busy``: ask again in ``retry_in`` seconds.

    ``not needed``: jobs of this kind are begun without a question, by now.
    """

    outcome: Literal["asked", "busy", "unreachable", "not needed"]
    retry_in: float = 0.0
    remind_at: datetime | None = None
    expires_at: datetime | None = None
    channel_id: str = ""
    conversation_id: str = ""
    activity_id: str | None = None


class Asking(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The card that shows what became of the job's approval, or the reminder of it."""

    job: Job
    asked: Asked


class Shown(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it went. ``busy``: show it again in ``retry_in`` seconds."""

    outcome: DeliveryState
    retry_in: float = 0.0


class Settling(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether the job's approval was answered; where it was not, and an end is ``wanted``, it ends so."""

    job: Job
    wanted: Wanted = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """``ended``: how the job has ended by it; None while it waits for its answer, and where that is yes."""

    is_open: bool = False
    ended: Rejected | Failed | Cancelled | None = None


async def ask(job: Job, *, services: Services) -> Asked:
    """Put the job's question to whom it is for. Raises what the definition and ``deliver`` raise."""
    definition = job_of(job)
    if not isinstance(definition, Approved):
        return Asked(outcome="not needed")
    approval_id = approval_id_of(job.job_id)
    entry = await services.approvals.find(approval_id) or await _entered(job, definition, services=services)
    to = entry.approval.put_to or _asked_in(job)
    # First of all, for the turn acknowledges a job as soon as it has begun.
    await services.job_board.put(entry_of(job, WAITING, at=services.clock.now()))
    # The question comes after the acknowledgement, for who is asked may be who asks, or read along.
    await acknowledged(job.job_id, at_most=CLAIM_HOLDS, services=services)
    record = await _deliver(approval_id, to, approval_card(entry), services=services)
    if record.waits_until is not None:
        return Asked(outcome="busy", retry_in=_seconds_until(record.waits_until, services))
    if record.state not in ARRIVED:
        return Asked(outcome="unreachable")
    return Asked(
        outcome="asked",
        remind_at=min(entry.asked_at + entry.approval.remind_after, entry.expires_at),
        expires_at=entry.expires_at,
        channel_id=TEAMS if isinstance(to, ToUser) else to.channel_id,
        conversation_id=record.conversation_id or job.requested_by.conversation_id,
        activity_id=record.activity_id,
    )


async def remind(step: Asking, *, services: Services) -> Shown:
    """Remind of the question. Raises what ``deliver`` raises."""
    entry = await _entry(step.job, services=services)
    if entry is None or not entry.is_open:
        return Shown(outcome="expired")
    return await _say(f"{entry.approval_id}.reminder", reminder(entry), step.asked, services=services)


async def settle(step: Settling, *, services: Services) -> Settled:
    """Read what was answered, or end the approval; the board says how the job ended by it."""
    entry = await _entry(step.job, services=services)
    while entry and entry.is_open:
        if not step.wanted:
            return Settled(is_open=True)
        state: Literal["expired", "withdrawn"] = "expired" if step.wanted == "expired" else "withdrawn"
        over = msgspec.structs.replace(entry, state=state, answered_at=services.clock.now())
        entry = await services.approvals.answer(over) or await _entry(step.job, services=services)
    if entry is None:  # nobody can say yes any more
        return Settled(ended=await end_broken(step.job, LOST, services=services))
    ended = _ended(step, entry)
    if ended:
        await services.job_board.put(entry_of(step.job, ended, at=services.clock.now()))
    return Settled(ended=ended)


async def show(step: Asking, *, services: Services) -> Shown:
    """Show in the card itself how it ended; in a message of its own where a card cannot be changed.

    In Copilot none can (Microsoft 365 Copilot documentation, "Known issues", "Custom engine agents").
    """
    entry, asked = await _entry(step.job, services=services), step.asked
    conversation = await services.conversations.find(asked.channel_id, asked.conversation_id)
    if entry is None or conversation is None or conversation.gone_at:
        return Shown(outcome="gone")
    card = approval_card(entry)
    if asked.activity_id and conversation.channel_id == TEAMS and not conversation.is_from_copilot:
        try:
            await services.connector.update(
                card.to_activity(), at=conversation.place, activity_id=asked.activity_id
            )
        except ChannelBusy as busy:
            return Shown(outcome="busy", retry_in=busy.retry_after.total_seconds())
        except ConversationGone:
            return Shown(outcome="gone")
        except ActivityNotFound:
            pass  # somebody took the card away
        except ChannelRefused:
            return Shown(outcome="failed")
        else:
            return Shown(outcome="sent")
    return await _say(f"{entry.approval_id}.ended", card, asked, services=services)


def _ended(step: Settling, entry: ApprovalEntry) -> Rejected | Failed | Cancelled | None:
    title = title_of(step.job)
    if entry.state == "rejected":
        return Rejected(tell=told_to_asker(entry))
    if entry.state == "expired":
        return _failed(step.job, told_to_asker(entry))
    if step.wanted == "unreachable":
        return _failed(step.job, Answer(f"I am sorry, I could not reach who is to answer: {title}."))
    if step.wanted == "withdrawn" or entry.state == "withdrawn":
        return Cancelled(tell=told_to_asker(msgspec.structs.replace(entry, state="withdrawn")))
    return None


def _failed(job: Job, tell: Answer) -> Failed:
    return offered(job, Failed(tell=tell, may_try_again=True))


async def _entered(job: Job, definition: Approved, *, services: Services) -> ApprovalEntry:
    """The approval's entry, which is what is asked from now on, whatever the definition says later."""
    async with noting_why(job, "approval", services=services):
        approval = await definition.approval(job, services=services)
    now = services.clock.now()
    entry = ApprovalEntry(
        approval_id=approval_id_of(job.job_id),
        job_id=job.job_id,
        title=title_of(job),
        approval=approval,
        asked_by=without_links(job.requested_by.user_name or ""),
        put_to_key=put_to_key(approval, job.requested_by),
        asked_at=now,
        expires_at=min(now + approval.expires_after, gives_up_at(job)),
    )
    entered = await services.approvals.insert(entry) or await services.approvals.find(entry.approval_id)
    assert entered is not None, "approvals are only dropped once they have ended and aged"
    return entered


async def _entry(job: Job, *, services: Services) -> ApprovalEntry | None:
    return await services.approvals.find(approval_id_of(job.job_id))


def _asked_in(job: Job) -> ToConversation:
    asked_in = job.requested_by
    return ToConversation(channel_id=asked_in.channel_id, conversation_id=asked_in.conversation_id)


async def _say(delivery_id: str, answer: Answer, asked: Asked, *, services: Services) -> Shown:
    to = ToConversation(channel_id=asked.channel_id, conversation_id=asked.conversation_id)
    record = await _deliver(delivery_id, to, answer, services=services)
    if record.waits_until is None:
        return Shown(outcome=record.state)
    return Shown(outcome="busy", retry_in=_seconds_until(record.waits_until, services))


async def _deliver(
    delivery_id: str, to: ToUser | ToConversation, answer: Answer, *, services: Services
) -> DeliveryRecord:
    message = ProactiveMessage(delivery_id=delivery_id, to=to, text=answer.text, card=answer.card)
    return await deliver(
        message,
        when_ambiguous=services.delivery_options.ambiguous_sends or "resend",
        services=services,
    )


def _seconds_until(moment: datetime, services: Services) -> float:
    return max((moment - services.clock.now()).total_seconds(), 0.0)
