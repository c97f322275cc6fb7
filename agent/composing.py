"""An answer is composed piece by piece, and shown while it grows in the stream that its turn has opened."""

import asyncio
from datetime import timedelta

import msgspec

from agent import follow_up as follow_ups
from agent.addressing import ConversationUnknown
from agent.answer import Answer
from agent.delivery_record import DeliveryRecord
from agent.draft import Draft
from agent.follow_up import FollowUp
from agent.job_card import words_of
from agent.jobs import running
from agent.jobs.catalog import gives_up_at, job_of
from agent.jobs.definition import Cancelled, Composed, ComposingFailed, Done, Failed, Job
from agent.ports import ChannelError, Services
from agent.sizing import size
from agent.stream import streaming
from agent.streamer import Streamer, UpdateKind
from agent.view import UPDATE_AFTER, View

LOOK_AGAIN_SECONDS = 0.5
# Teams documentation, "Stream bot messages": text is best gathered for 1.5 to 2 seconds.
UPDATES_APART = timedelta(seconds=1.5)
# Teams ends a stream after two minutes: it is handed over well before, and its final is tried until then.
STREAM_LASTS = timedelta(seconds=105)
FINAL_WITHIN = timedelta(seconds=118)
# An activity function is killed after the host's functionTimeout, which is five minutes.
LONGEST = timedelta(minutes=4, seconds=30)
ENDS_WITHIN_SECONDS = 2.0  # from when it is no longer wanted; who composes may clean up first
# Of the largest activity. A part of text is no smaller, so the first begins with all that was streamed.
STREAMED_SHARE = 0.5
HANDED_OVER = "This takes longer. The whole answer follows in a message."
BROKEN_OFF = "Something went wrong here. I try again, and will send you a message."
STOPPED = "I have stopped."
# Why a job broke, as the board and the ledger tell it.
NOT_COMPOSED = "there is no such kind of job any more, or its answers are not composed"
EMPTY = "the answer is empty"


class Composition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One answer to compose, the ``number``-th thing that its job tells; ``view``: as its turn opened it."""

    job: Job
    number: int
    view: View | None = None


class ComposedOutcome(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of it. Where not ``is_told`` it is to be told, as the final of ``view`` if that is open."""

    outcome: Done | Failed | Cancelled
    is_told: bool = False
    view: View | None = None


async def compose(composition: Composition, *, services: Services) -> ComposedOutcome:
    """Compose the answer, and tell it where it can be told as the final of its stream.

    Raises what the definition raises, but ComposingFailed.
    """
    job, definition = composition.job, job_of(composition.job)
    if not isinstance(definition, Composed):  # withdrawn meanwhile
        outcome = await running.end_broken(job, NOT_COMPOSED, services=services)
        return ComposedOutcome(outcome=outcome, view=composition.view)
    view = composition.view
    held = await _hold(job, services=services) if view and view.is_streaming else None
    streamer = None
    if view and held:
        streamer = Streamer(
            view, at=job.requested_by.place, connector=services.connector, clock=services.clock
        )
    async with running.noting_why(job, "compose", services=services):
        composed = await _Composer(composition, definition, streamer, services=services).run()
    if held:
        await services.ledger.replace(
            msgspec.structs.replace(held, state="sent", updated_at=services.clock.now())
        )
    return composed


async def _hold(job: Job, *, services: Services) -> DeliveryRecord | None:
    """The record by which we alone move the stream on; None where an earlier run died that did.

    What that one streamed nobody knows, so nothing is streamed after it.
    """
    ledger, now = services.ledger, services.clock.now()
    record = DeliveryRecord(delivery_id=f"{job.job_id}.stream", state="sending", updated_at=now, attempts=1)
    if inserted := await ledger.insert(record):
        return inserted
    before = await ledger.read(record.delivery_id)
    if before and before.state == "sending":
        reason = "who streamed it died, or broke"
        await ledger.replace(msgspec.structs.replace(before, state="expired", updated_at=now, reason=reason))
    return None


class _Composer:
    """One run. ``streamer``: None where nothing is to be streamed."""

    def __init__(
        self,
        composition: Composition,
        definition: Composed,
        streamer: Streamer | None,
        *,
        services: Services,
    ) -> None:
        self._composition = composition
        self._definition = definition
        self._streamer = streamer
        self._services = services
        self._clock = services.clock
        self._draft = Draft()

    async def run(self) -> ComposedOutcome:
        job = self._composition.job
        pieces = self._definition.compose(job, services=self._services)
        reading = asyncio.create_task(self._draft.read(pieces))
        try:
            await self._show_while(reading)
            return await self._end(reading)
        except Exception:
            if self._streamer:
                await self._streamer.close(self._cut_short(self._streamer, BROKEN_OFF).to_activity())
            raise
        finally:
            reading.cancel()
            ended, _ = await asyncio.wait({reading}, timeout=ENDS_WITHIN_SECONDS)
            if ended and not reading.cancelled():
                reading.exception()  # or asyncio would log it, with words that may quote anything

    async def _show_while(self, reading: asyncio.Task[None]) -> None:
        """Show what there is until it is whole, or its time is over, or its user has stopped it."""
        job, now = self._composition.job, self._clock.now()
        ends_at = min(gives_up_at(job), now + LONGEST)
        while not reading.done() and self._clock.now() < ends_at and not self._is_cancelled:
            await asyncio.wait({reading}, timeout=LOOK_AGAIN_SECONDS)
            if self._streamer and not reading.done():
                await self._show(self._streamer)

    async def _show(self, streamer: Streamer) -> None:
        """Make the update that is due, or the final by which the stream is handed over."""
        view, now = streamer.view, self._clock.now()
        if now - view.opened_at >= STREAM_LASTS:
            await streamer.close(self._cut_short(streamer, HANDED_OVER).to_activity())
            return
        words, kind = self._words(view)
        if now - view.shown_at >= (UPDATE_AFTER if words == view.shown else UPDATES_APART):
            await streamer.show(words, kind)

    def _words(self, view: View) -> tuple[str, UpdateKind]:
        """What the stream is to show: the text as far as it may; until there is some, what is being done."""
        text = self._draft.text
        if text.strip():
            room = self._services.delivery_options.max_activity_bytes * STREAMED_SHARE
            if size(streaming(text, stream_id=view.activity_id, sequence=view.sequence)) <= room:
                return text, "streaming"
        if view.streamed:
            return view.streamed, "streaming"
        return words_of(self._draft.progress) or view.shown or job_of(
            self._composition.job
        ).title, "informative"

    def _cut_short(self, streamer: Streamer, words: str) -> Answer:
        """What the stream may show, and after it why there is no more."""
        shown, kind = self._words(streamer.view)
        return self._draft.cut_short(shown if kind == "streaming" else "", words)

    async def _end(self, reading: asyncio.Task[None]) -> ComposedOutcome:
        """Tell what came of it in its stream, if that is open. Raises what broke the composing."""
        streamer = self._streamer
        if streamer and self._definition.stop_cancels and reading.done() and not reading.exception():
            await streamer.show(*self._words(streamer.view))  # whether it was stopped is told to updates only
        if streamer and self._is_cancelled:
            cancelled = Cancelled(tell=Answer(STOPPED))
            await running.note(self._composition.job, cancelled, services=self._services)
            return ComposedOutcome(outcome=cancelled, is_told=True, view=streamer.view)
        outcome = await self._outcome(reading)
        if streamer is None:
            return ComposedOutcome(outcome=outcome, view=self._composition.view)
        if isinstance(outcome, Failed) and streamer.view.open_stream and streamer.view.streamed:
            whole = self._cut_short(streamer, outcome.tell.text)
            outcome = Failed(tell=msgspec.structs.replace(whole, card=outcome.tell.card))
        is_told = await self._tell(outcome.tell, streamer)
        view = msgspec.structs.replace(streamer.view, ended="completed") if is_told else streamer.view
        return ComposedOutcome(outcome=outcome, is_told=is_told, view=view)

    async def _outcome(self, reading: asyncio.Task[None]) -> Done | Failed:
        """What came of it, noted on the board. Raises what broke the composing."""
        job = self._composition.job
        outcome: Done | Failed
        try:
            if not reading.done():
                return await running.end_broken(job, running.OUT_OF_TIME, services=self._services)
            reading.result()
            if not self._draft.text.strip():
                return await running.end_broken(job, EMPTY, services=self._services)
            outcome = Done(tell=self._draft.answer)
        except ComposingFailed as error:
            outcome = Failed(tell=error.tell)
        await running.note(job, outcome, services=self._services)
        return outcome

    async def _tell(self, answer: Answer, streamer: Streamer) -> bool:
        """Tell the answer as the stream's final, once; False where it is left to the job's follow-up."""
        ends_at = streamer.view.opened_at + FINAL_WITHIN
        while stream := streamer.view.open_stream:
            await streamer.pace()
            follow_up = FollowUp(
                job=self._composition.job, number=self._composition.number, answer=answer, stream=stream
            )
            try:
                sent = await follow_ups.send(follow_up, services=self._services)
            except (ChannelError, ConversationUnknown):
                return False  # it is noted, and what is to be done about it is the follow-up's
            if sent.outcome != "busy":
                return True
            if self._clock.now() + timedelta(seconds=sent.retry_in) >= ends_at:
                return False
            await self._clock.sleep(sent.retry_in)
        return False

    @property
    def _is_cancelled(self) -> bool:
        """Whether the user has stopped the stream, and wants no more of it."""
        is_stopped = self._streamer is not None and self._streamer.view.ended == "stopped"
        return is_stopped and self._definition.stop_cancels
