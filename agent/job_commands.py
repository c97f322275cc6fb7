"""What users ask of their own jobs: how they are, to cancel one, to try one again. Nobody has another's."""

from typing import Annotated, Any, Protocol

import msgspec

from agent.answer import Answer
from agent.conversation import PERSONAL, conversation_of
from agent.incoming import IncomingActivity
from agent.job_card import jobs_card
from agent.job_entry import JobEntry, owner_key
from agent.job_words import job_command, words_of
from agent.jobs.again import PressedAgain
from agent.jobs.catalog import definition_of
from agent.jobs.definition import JobDefinition
from agent.ports import Services

LOOKED_AT = 50  # of the newest
LISTED = 10
NO_JOBS = Answer("You have no jobs with me at the moment. Say hello to see what I can do.")
NOTHING_RUNS = Answer("There is nothing to cancel: no job of yours is running.")
NOT_YOURS = Answer("I do not find this among your jobs, so I have cancelled nothing.")
NOT_YOURS_AGAIN = Answer("I do not find this among your jobs, so I have started nothing.")
NOTHING_FAILED = Answer("There is nothing to try again: no job of yours has failed.")


class JobCanceller(Protocol):
    """Asks the durable orchestration of a job to stop."""

    async def __call__(self, job_id: str) -> bool:
        """False where it has ended, or is not known."""


class PressedCancel(msgspec.Struct, frozen=True):
    """The data of a button that cancels a job: ``{"cancel": "<job id>"}``."""

    cancel: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z._-]{1,64}$")]


class WantedJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that is to be taken on, with what was asked for."""

    definition: JobDefinition
    request: Any


class JobCommands:
    """Answers what the sender of one turn asks of their jobs."""

    def __init__(self, incoming: IncomingActivity, *, cancel_job: JobCanceller, services: Services) -> None:
        self._here = conversation_of(incoming)
        self._owner_key = owner_key(self._here)
        self._cancel_job = cancel_job
        self._board = services.job_board
        self._clock = services.clock

    async def said(self, words: str) -> Answer | None:
        """The answer to a command in words; None where they are none."""
        command = job_command(words)
        if command is None or command.asks == "again":
            return None
        entries = await self._shown_here()
        running = [entry for entry in entries if entry.is_running]
        if command.asks == "cancel":
            return await self._cancel_one(running, named=command.named)
        ended = [entry for entry in entries if not entry.is_running]
        return jobs_card("Your jobs", (running + ended)[:LISTED]) if entries else NO_JOBS

    async def pressed(self, data: object) -> Answer | None:
        """The answer to a pressed Cancel; None where the button is another."""
        try:
            job_id = msgspec.convert(data, PressedCancel).cancel
        except msgspec.ValidationError:
            return None
        entry = await self._board.find(self._owner_key, job_id)
        return await self._cancel(entry) if entry else NOT_YOURS

    async def asked_again(self, words: str) -> WantedJob | Answer | None:
        """The last of the sender's jobs that failed, where words ask to try it again; else None."""
        command = job_command(words)
        if command is None or command.asks != "again":
            return None
        failed = [entry for entry in await self._shown_here() if entry.state == "failed"]
        meant = [entry for entry in failed if command.named <= words_of(entry.title)]
        return _again(meant[0]) if meant else NOTHING_FAILED

    async def pressed_again(self, data: object) -> WantedJob | Answer | None:
        """The sender's job whose button was pressed to try it again; None where the button is another."""
        try:
            job_id = msgspec.convert(data, PressedAgain).again
        except msgspec.ValidationError:
            return None
        entry = await self._board.find(self._owner_key, job_id)
        return _again(entry) if entry else NOT_YOURS_AGAIN

    async def _shown_here(self) -> list[JobEntry]:
        """The sender's jobs; in a group or a channel only those asked for there, for others read along."""
        entries = await self._board.of_owner(self._owner_key, at_most=LOOKED_AT)
        if self._here.conversation_type in (None, PERSONAL):
            return entries
        here = (self._here.channel_id, _without_thread(self._here.conversation_id))
        return [
            entry for entry in entries if (entry.channel_id, _without_thread(entry.conversation_id)) == here
        ]

    async def _cancel_one(self, running: list[JobEntry], *, named: frozenset[str]) -> Answer:
        """Cancel the job that is meant; where that is not clear, ask."""
        if not running:
            return NOTHING_RUNS
        meant = [entry for entry in running if named <= words_of(f"{entry.title} {entry.step}")]
        if len(meant) == 1:
            return await self._cancel(meant[0])
        return jobs_card("Which of your jobs shall I cancel?", (meant or running)[:LISTED])

    async def _cancel(self, entry: JobEntry) -> Answer:
        if entry.is_running and await self._cancel_job(entry.job_id):
            return Answer(f"I am cancelling: {entry.title}. I will tell you when it is done.")
        ended = await self._board.find(entry.owner_key, entry.job_id) or entry
        if ended.is_running:  # its orchestration was ended by another hand, or never began
            ended = msgspec.structs.replace(ended, state="failed", updated_at=self._clock.now())
            await self._board.put(ended)
        return Answer(f"This has ended already: {ended.title} ({ended.state}).")


def _again(entry: JobEntry) -> WantedJob | Answer:
    """What the entry's owner asked for then; an answer where it runs, or cannot be asked for any more."""
    if entry.is_running:
        return Answer(f"This is under way: {entry.title}. I will tell you when there is news.")
    definition = definition_of(entry.kind)
    # The request of an entry that was too large for the board, or is from before it was kept, is not there.
    if definition is None or entry.request is None:
        return Answer(f"I cannot try this again by myself: {entry.title}. Please ask me for it anew.")
    return WantedJob(definition=definition, request=entry.request)


def _without_thread(conversation_id: str) -> str:
    """Teams puts the thread of a channel into the id (``;messageid=``)."""
    return conversation_id.partition(";")[0]
