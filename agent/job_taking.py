"""How a turn takes on a job: it is stored durably first, and then its user is told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from agent.answer import Answer
from agent.conversation import conversation_of
from agent.delivery_record import DeliveryRecord
from agent.incoming import IncomingActivity
from agent.job_card import running_card, words_of
from agent.job_entry import JobEntry, Progress, owner_key
from agent.job_view import view_kind
from agent.jobs.catalog import job_of, title_of
from agent.jobs.definition import JOB_VERSION, Job, JobDefinition
from agent.jobs.entries import entry_of
from agent.ports import ChannelError, Services
from agent.stream import informative
from agent.told_in_turn import claim_in_turn, first_telling, hand_back, is_of_turn, note_told
from agent.turn_budget import seconds_until
from agent.turn_replies import TurnReplies
from agent.view import View, ViewKind

log = logging.getLogger(__name__)

FIRST_LOOK, LONGEST_PAUSE = 0.05, 0.5  # seconds between two looks at the board
SHORTEST_LOOK = 0.25  # seconds
TYPING_AFTER = timedelta(seconds=1)
TYPING_LASTS_SECONDS = 2.0
# Their replies go into the HTTP response: nothing in them can be changed, or streamed.
WITHOUT_IDS = frozenset({"expectReplies"})

Say = Callable[[Answer], Awaitable[str | None]]


class JobStarter(Protocol):
    """Starts the durable orchestration of a job."""

    async def __call__(self, job: Job, *, may_exist: bool) -> None:
        """Store the job durably. ``may_exist``: an earlier delivery may have done it; do not do it again."""


class JobTaking:
    """Takes on a job in one turn."""

    def __init__(
        self,
        incoming: IncomingActivity,
        replies: TurnReplies,
        *,
        start_job: JobStarter,
        services: Services,
    ) -> None:
        self._incoming = incoming
        self._conversation = conversation_of(incoming)
        self._replies = replies
        self._budget = replies.budget
        self._start_job = start_job
        self._services = services
        self._is_in_response = incoming.delivery_mode in WITHOUT_IDS

    async def start(self, definition: JobDefinition, *, request: Any) -> Job:
        """Store the job durably; with that it is taken on, whatever happens to this turn.

        Raises what the storage raises.
        """
        job = Job(
            version=JOB_VERSION,
            job_id=self._incoming.turn_key,
            kind=definition.kind,
            requested_at=self._services.clock.now(),
            requested_by=self._conversation,
            request=request,
            shown_as=self._shown_as(definition),
        )
        await self._start_job(job, may_exist=self._replies.claim.is_resumed)
        try:
            async with asyncio.timeout(self._seconds_to_wait()):
                # Its activities may have written the entry already, with what they know better.
                await self._services.job_board.insert(entry_of(job, None, at=job.requested_at))
        except Exception as error:  # noqa: BLE001 - whatever storage raises; the job's activities write it too
            log.warning("Job %s is not on the board yet: %s", job.job_id, type(error).__name__)
        return job

    def _shown_as(self, definition: JobDefinition) -> ViewKind:
        if self._incoming.type != "message" or self._is_in_response:
            return "messages"
        return view_kind(definition, self._conversation)

    async def tell(self, job: Job, *, say: Say) -> None:
        """Tell the user what came of it, where that is ready in time; else that it is taken on."""
        if job.shown_as == "stream" and await self._open_stream(job):
            return
        known = None
        if self._replies.claim.is_resumed:
            known = await first_telling(job, services=self._services)
            if known and self._is_told(known):
                return
        entry = await self._first_outcome(job, say_typing=self._incoming.type == "message")
        result = entry.answer if entry and not entry.is_running else None
        if result is None or not await self._tell_result(job, result, known, say):
            await self._acknowledge(job, entry, say)

    def _is_told(self, first: DeliveryRecord) -> bool:
        """Whether the user has heard of the job, or will by its orchestration: what is said now is late."""
        if not is_of_turn(first):
            return True
        return not self._is_in_response and (first.has_ended or self._replies.is_held)

    async def _open_stream(self, job: Job) -> bool:
        """Acknowledge by the first update of a stream; False where the channel streams nothing here."""
        if self._replies.claim.is_resumed:  # a stream that an earlier delivery was to open is not waited for
            self._replies.pass_over()
            return False
        text = job_of(job).acknowledgement(job).text
        view = self._view("stream", shown=text)
        self._replies.opens(view)
        stream_id = await self._replies.offer(
            informative(text, stream_id=None, sequence=1),
            at=self._conversation.place,
            reply_to_id=self._incoming.incoming_id,
        )
        # The next update keeps its distance from the answer to this one, which may have taken a while.
        shown_at = self._services.clock.now()
        self._replies.opens(msgspec.structs.replace(view, shown_at=shown_at) if stream_id else None)
        return stream_id is not None

    async def _first_outcome(self, job: Job, *, say_typing: bool) -> JobEntry | None:
        """The job's entry once its first step is over; as it is when the budget ends."""
        clock = self._services.clock
        pause, began = FIRST_LOOK, clock.now()
        while True:
            entry = await self._look(job)
            if (entry and entry.has_begun) or clock.now() >= self._budget.waits_until:
                return entry
            if say_typing and clock.now() - began > TYPING_AFTER:
                say_typing = False
                await self._say_typing()
            await self._replies.keep()
            await clock.sleep(min(pause, seconds_until(self._budget.waits_until, clock.now())))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _look(self, job: Job) -> JobEntry | None:
        """The job's entry; None also where the board does not tell it in time: no user waits for that."""
        try:
            async with asyncio.timeout(self._seconds_to_wait()):
                return await self._services.job_board.find(owner_key(job.requested_by), job.job_id)
        except Exception as error:  # noqa: BLE001 - whatever storage raises
            log.warning("Job %s is not seen on the board: %s", job.job_id, type(error).__name__)
            return None

    def _seconds_to_wait(self) -> float:
        waits_until, now = self._budget.waits_until, self._services.clock.now()
        return seconds_until(waits_until, now, at_least=SHORTEST_LOOK)

    async def _say_typing(self) -> None:
        """Show that an answer is being made; nobody misses it where it is not shown."""
        with suppress(ChannelError, TimeoutError):
            async with asyncio.timeout(TYPING_LASTS_SECONDS):
                await self._services.connector.send(
                    {"type": "typing"}, at=self._conversation.place, reply_to_id=self._incoming.incoming_id
                )

    async def _tell_result(self, job: Job, answer: Answer, known: DeliveryRecord | None, say: Say) -> bool:
        """Tell what came of the job in its turn; False where the orchestration is to do so."""
        if known and known.has_ended:  # told in a response, which nobody may have got
            await say(answer)
            return True
        if known is None and not self._replies.is_anew:
            return False
        delivery = await claim_in_turn(job, known, services=self._services)
        if delivery is None:
            return known is not None
        try:
            activity_id = await say(answer)
        except Exception:
            if not self._replies.is_one_on_its_way:
                await hand_back(delivery, services=self._services)
            raise
        await note_told(delivery, activity_id, services=self._services)
        return True

    async def _acknowledge(self, job: Job, entry: JobEntry | None, say: Say) -> None:
        definition = job_of(job)
        answer = definition.acknowledgement(job)
        if job.shown_as == "card" and answer.card is None:
            progress = Progress(step=entry.step, percent=entry.percent) if entry and entry.step else None
            self._replies.opens(self._view("card", shown=words_of(progress), progress=progress))
            answer = running_card(
                title=title_of(job),
                text=answer.text,
                progress=progress,
                state="running",
                job_id=job.job_id,
            )
        await say(answer)

    def _view(self, kind: ViewKind, *, shown: str, progress: Progress | None = None) -> View:
        now = self._services.clock.now()
        return View(kind=kind, opened_at=now, shown_at=now, sequence=1, shown=shown, progress=progress)
