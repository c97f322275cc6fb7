"""What users answer to the questions of jobs: by whom it may be answered, and what was answered first."""

from typing import Annotated, Any, Protocol

import msgspec

from agent.approval import LONGEST_COMMENT, ApprovalEntry, Given, approval_card, how_it_ended, without_links
from agent.conversation import conversation_of
from agent.incoming import IncomingActivity
from agent.job_entry import owner_key
from agent.ports import Services

UNKNOWN = "I do not know this question any more, so nothing has changed."
FOR_ANOTHER = "This is for somebody else to answer: nothing has changed."
HAS_ENDED = "This has ended already, so your answer changes nothing."


class JobWaker(Protocol):
    """Tells the durable orchestration of a job that an answer was written down."""

    async def __call__(self, job_id: str) -> bool:
        """False where it has ended, or is not known."""


class Pressed(msgspec.Struct, frozen=True):
    """Which approval, and what is answered."""

    approval_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Za-z._-]{1,128}$")] = msgspec.field(name="id")
    answer: Given


class PressedAnswer(msgspec.Struct, frozen=True):
    """The data of a button of an approval's card, with what was typed into the card besides."""

    approval: Pressed
    comment: Any = None


class Replied(msgspec.Struct, frozen=True, kw_only=True):
    """What who pressed is told; ``card``: the card as it is now, where they may answer it."""

    text: str
    card: dict[str, Any] | None = None


class ApprovalCommands:
    """Takes what the sender of one turn answers."""

    def __init__(self, incoming: IncomingActivity, *, wake_job: JobWaker, services: Services) -> None:
        self._sender = conversation_of(incoming)
        self._wake_job = wake_job
        self._approvals = services.approvals
        self._clock = services.clock

    async def pressed(self, data: object) -> Replied | None:
        """The reply to a pressed answer; None where the button is another.

        The answer is written down, and then the job is woken: also by one who presses again, for the process
        that wrote it down may have died before it came to this.
        """
        try:
            pressed = msgspec.convert(data, PressedAnswer)
        except msgspec.ValidationError:
            return None
        entry = await self._approvals.find(pressed.approval.approval_id)
        if entry is None:
            return Replied(text=UNKNOWN)
        if entry.put_to_key != owner_key(self._sender):
            return Replied(text=FOR_ANOTHER)
        ended, is_first = await self._answered(entry, pressed)
        is_running = await self._wake_job(ended.job_id)
        if is_first and not is_running:
            return Replied(text=HAS_ENDED)
        text = f"Thank you. I have noted your answer: {ended.state}." if is_first else how_it_ended(ended)
        return Replied(text=text, card=approval_card(ended).card)

    async def _answered(self, entry: ApprovalEntry, pressed: PressedAnswer) -> tuple[ApprovalEntry, bool]:
        """The approval as it was answered first, and whether that is this answer."""
        while entry.is_open:
            comment = pressed.comment if isinstance(pressed.comment, str) else ""
            answered = msgspec.structs.replace(
                entry,
                state=pressed.approval.answer,
                answered_at=self._clock.now(),
                answered_by=without_links(self._sender.user_name or "who was asked"),
                comment=without_links(comment.strip()[:LONGEST_COMMENT]),
            )
            if written := await self._approvals.answer(answered):
                return written, True
            known = await self._approvals.find(entry.approval_id)
            entry = known or msgspec.structs.replace(entry, state="withdrawn")  # dropped for its age
        return entry, False
