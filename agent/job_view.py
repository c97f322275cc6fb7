"""How a job is shown while it runs: as a stream, as a card that moves, or by messages; moved on here."""

from datetime import timedelta

import msgspec

from agent.answer import Answer
from agent.conversation import PERSONAL, Conversation
from agent.delivery import deliver
from agent.job_card import running_card
from agent.job_entry import JobState, Progress
from agent.jobs.catalog import job_of
from agent.jobs.definition import Approved, Job, JobDefinition, Streamed
from agent.ports import ChannelError, ChannelRefused, ConversationGone, Services
from agent.proactive_message import ProactiveMessage, ToConversation
from agent.streamer import Streamer
from agent.told_in_turn import ACKNOWLEDGED_SOON, acknowledged
from agent.view import CLOSE_AFTER, View, ViewKind

TEAMS = "msteams"
MESSAGES_APART = timedelta(minutes=1)
HANDED_OVER = "I am still at it. I will send you a message as soon as there is news."


class Showing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be shown of a job now; ``view`` is None until there is one."""

    job: Job
    view: View | None
    progress: Progress | None = None
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


def words_of(progress: Progress | None) -> str:
    """A progress in one line."""
    if progress is None:
        return ""
    return progress.step if progress.percent is None else f"{progress.step} ({progress.percent}%)"


class Showed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The view as it is now; None while the turn has not told yet what it opened."""

    view: View | None


async def show(showing: Showing, *, services: Services) -> View | None:
    """Show how the job is, where that is not shown yet; the view as it is then, None while there is none.

    What the channel does not take is not shown: no job depends on it. Raises what storage raises.
    """
    view = showing.view or await _opened(showing.job, services=services)
    if view is None or view.ended:
        return view
    moves = {"stream": _stream, "card": _update_card, "messages": _message}
    try:
        return await moves[view.kind](showing, view, services=services)
    except (ChannelRefused, ConversationGone):
        return msgspec.structs.replace(view, ended="refused")
    except ChannelError:  # busy, or nobody knows: the next time will tell
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
    clock = services.clock
    place = showing.job.requested_by.place
    streamer = Streamer(view, at=place, connector=services.connector, clock=clock)
    news = words_of(showing.progress)
    if not news and clock.now() < view.moves_on_at:
        return view
    words = news or view.shown
    if clock.now() - view.opened_at < CLOSE_AFTER:
        view = await streamer.show(words, "informative")
    else:
        said = "\n\n".join(filter(None, (view.streamed, words, HANDED_OVER)))
        view = await streamer.close(Answer(said).to_activity())
    is_stopped = view.ended == "stopped" and _stop_cancels(showing.job)
    return msgspec.structs.replace(view, cancels_job=is_stopped)


async def _update_card(showing: Showing, view: View, *, services: Services) -> View:
    job = showing.job
    words = words_of(showing.progress)
    if view.activity_id is None or (words == view.shown and showing.state == "running"):
        return view
    answer = running_card(
        title=job_of(job).title,
        text=job_of(job).acknowledgement(job).text,
        progress=words,
        state=showing.state,
        job_id=job.job_id,
    )
    await services.connector.update(
        {**answer.to_activity(), "id": view.activity_id},
        at=job.requested_by.place,
        activity_id=view.activity_id,
    )
    return msgspec.structs.replace(view, shown=words, shown_at=services.clock.now())


async def _message(showing: Showing, view: View, *, services: Services) -> View:
    """A message with the progress, where it is news and the last one is old enough."""
    job, words, now = showing.job, words_of(showing.progress), services.clock.now()
    if not words or words == view.shown or now - view.shown_at < MESSAGES_APART:
        return view
    number = view.sequence + 1
    conversation = job.requested_by
    message = ProactiveMessage(
        delivery_id=f"{job.job_id}.progress.{number}",
        to=ToConversation(channel_id=conversation.channel_id, conversation_id=conversation.conversation_id),
        text=words,
    )
    await deliver(
        message,
        when_ambiguous="hold",  # the next one tells more
        ledger=services.ledger,
        conversations=services.conversations,
        connector=services.connector,
        options=services.delivery_options,
        clock=services.clock,
    )
    return msgspec.structs.replace(view, shown=words, shown_at=now, sequence=number)


def _stop_cancels(job: Job) -> bool:
    definition = job_of(job)
    return isinstance(definition, Streamed) and definition.stop_cancels
