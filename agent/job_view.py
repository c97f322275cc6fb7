"""How a job is shown while it runs: as a stream, as a card that moves, or by messages; moved on here."""

from datetime import datetime, timedelta

import msgspec

from agent.addressing import ConversationUnknown
from agent.answer import Answer
from agent.conversation import PERSONAL, Conversation
from agent.delivery import deliver
from agent.job_card import running_card, words_of
from agent.job_entry import JobState, Progress
from agent.jobs.catalog import job_of, title_of
from agent.jobs.definition import Approved, Job, JobDefinition, Streamed
from agent.ports import ChannelError, ChannelRefused, ConversationGone, Services
from agent.proactive_message import ProactiveMessage, ToConversation
from agent.streamer import Streamer
from agent.told_in_turn import ACKNOWLEDGED_SOON, acknowledged
from agent.view import CLOSE_AFTER, STREAM_LASTS, UPDATE_AFTER, View, ViewKind

TEAMS = "msteams"
MESSAGES_APART = timedelta(minutes=1)
HANDED_OVER = "I am still at it. I will send you a message as soon as there is news."


class Showing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be shown of a job now; ``view`` is None until there is one.

    ``is_told``: the user was told something just now, which says more than the progress.
    """

    job: Job
    view: View | None
    progress: Progress | None = None
    is_told: bool = False
    state: JobState = "running"


def view_kind(definition: JobDefinition, conversation: Conversation) -> ViewKind:
    """How the channel can show a job of this kind there.

    Teams streams in personal chats alone; in Copilot a message that was sent cannot be changed (Microsoft 365
    Copilot documentation, "Known issues", "Custom engine agents"). No stream lasts as long as people take.
    """
    if conversation.channel_id != TEAMS:
        return "messages"
    may_stream = isinstance(definition, Streamed) and not isinstance(definition, Approved)
    if may_stream and conversation.conversation_type == PERSONAL:
        return "stream"
    return "messages" if conversation.is_from_copilot else "card"


class Showed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The view as it is now; None while the turn has not told yet what it opened."""

    view: View | None


async def show(showing: Showing, *, services: Services) -> View | None:
    """Show how the job is, where that is not shown yet; the view as it is then, None while there is none.

    What the channel does not take is not shown: no job depends on it. Raises what storage raises; once the
    job has ended, also what another try may help against.
    """
    view = showing.view or await _opened(showing.job, services=services)
    if view is None or view.ended:
        return view
    moves = {"stream": _stream, "card": _update_card, "messages": _message}
    try:
        return await moves[view.kind](showing, view, services=services)
    except (ChannelRefused, ConversationGone, ConversationUnknown):
        return msgspec.structs.replace(view, ended="refused")
    except ChannelError:
        if showing.state != "running":
            raise
        # Busy, or nobody knows: the next time will tell.
        return msgspec.structs.replace(view, shown_at=services.clock.now())


async def _opened(job: Job, *, services: Services) -> View | None:
    """What the job's turn has opened; messages, where it opened nothing, or has died; None where it is at it.

    The job goes on meanwhile, so this waits for a moment only.
    """
    claim = await acknowledged(job.job_id, at_most=ACKNOWLEDGED_SOON, services=services)
    if claim and claim.state != "acknowledged":
        return None
    opened = claim.opened_view if claim else None
    return opened or View(kind="messages", opened_at=job.requested_at, shown_at=job.requested_at)


async def _stream(showing: Showing, view: View, *, services: Services) -> View:
    """The stream's next informative update; its final, once it has lasted long enough."""
    now, news = services.clock.now(), words_of(showing.progress)
    if now - view.opened_at >= STREAM_LASTS:
        return msgspec.structs.replace(view, ended="over")
    if not news and now < _moves_on_at(view):
        return msgspec.structs.replace(view, moves_on_at=_moves_on_at(view))
    streamer = Streamer(
        view, at=showing.job.requested_by.place, connector=services.connector, clock=services.clock
    )
    words, shown_before = news or view.shown, view.shown_at
    if now - view.opened_at < CLOSE_AFTER:
        view = await streamer.show(words, "informative")
    else:
        said = "\n\n".join(filter(None, (view.streamed, words, HANDED_OVER)))
        view = await streamer.close(Answer(said).to_activity())
    if not view.ended and view.shown_at == shown_before:
        await streamer.pace()  # who makes the next request knows nothing of this one
    moves_on_at = _moves_on_at(view)
    return msgspec.structs.replace(
        view,
        progress=showing.progress if view.shown == words else view.progress,
        moves_on_at=max(moves_on_at, streamer.busy_until or moves_on_at),
        cancels_job=view.ended == "stopped" and _stop_cancels(showing.job),
    )


def _moves_on_at(view: View) -> datetime:
    """When a stream is to be updated, or closed, if nothing happens before."""
    return min(view.shown_at + UPDATE_AFTER, view.opened_at + CLOSE_AFTER)


async def _update_card(showing: Showing, view: View, *, services: Services) -> View:
    job, words, is_running = showing.job, words_of(showing.progress), showing.state == "running"
    if view.activity_id is None or (is_running and not words):
        return view
    shown = msgspec.structs.replace(view, shown=words, progress=showing.progress)
    if is_running and words == view.shown:
        return shown
    answer = running_card(
        title=title_of(job),
        text=job_of(job).acknowledgement(job).text,
        progress=showing.progress,
        state=showing.state,
        job_id=job.job_id,
        is_update=True,
    )
    async with services.doors.through(job.requested_by.tenant_id):
        await services.connector.update(
            {**answer.to_activity(), "id": view.activity_id},
            at=job.requested_by.place,
            activity_id=view.activity_id,
        )
    return msgspec.structs.replace(shown, shown_at=services.clock.now())


async def _message(showing: Showing, view: View, *, services: Services) -> View:
    """A message with the progress, where it is news and the last one is old enough.

    One that the channel is busy for, or that broke, is tried again under its number, with what is news then.
    """
    job, words, now = showing.job, words_of(showing.progress), services.clock.now()
    if showing.is_told:
        return msgspec.structs.replace(view, shown=words or view.shown, progress=showing.progress)
    if not words or words == view.shown or now - view.shown_at < MESSAGES_APART:
        return view
    number = view.sequence + 1
    conversation = job.requested_by
    message = ProactiveMessage(
        delivery_id=f"{job.job_id}.progress.{number}",
        to=ToConversation(channel_id=conversation.channel_id, conversation_id=conversation.conversation_id),
        text=words,
    )
    record = await deliver(
        message,
        when_ambiguous="hold",  # the next one tells more
        services=services,
    )
    if record.state in ("gone", "failed"):
        return msgspec.structs.replace(view, ended="refused")
    if record.waits_until:
        return msgspec.structs.replace(view, shown_at=now)
    return msgspec.structs.replace(
        view, shown=words, progress=showing.progress, shown_at=now, sequence=number
    )


def _stop_cancels(job: Job) -> bool:
    definition = job_of(job)
    return isinstance(definition, Streamed) and definition.stop_cancels
