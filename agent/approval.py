"""An approval: a question that a job puts to one person before it is begun, and what became of it."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from agent.answer import Answer, card
from agent.conversation import Conversation
from agent.incoming import derived_key
from agent.job_entry import owner_key
from agent.proactive_message import ToUser

ApprovalState = Literal["open", "approved", "rejected", "expired", "withdrawn"]
Given = Literal["approved", "rejected"]  # the answers that a person can give
# Characters: together they fit in a card, and in a column of a table (32,000).
LONGEST_WORDS, LONGEST_TITLE, LONGEST_VALUE, MOST_FACTS = 1000, 60, 400, 20
LONGEST_COMMENT = 500  # characters
BRACKETS = str.maketrans("[]<>", "()()")
HEADINGS: dict[ApprovalState, str] = {
    "open": "Your answer is needed",
    "approved": "Approved",
    "rejected": "Rejected",
    "expired": "Not answered in time",
    "withdrawn": "Withdrawn",
}
COLOURS: dict[ApprovalState, str] = {"approved": "good", "rejected": "attention"}


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What a job asks before it is begun, and of whom.

    ``put_to``: who may answer; None: who asked for the job, which is a confirmation. ``facts``: what they
    should know, as titles and values. They are reminded after ``remind_after``, and not asked any more after
    ``expires_after``. ``if_rejected`` and ``if_expired``: what who asked for the job is told then; there
    are words for it where they are empty.

    What is too long for its card or its row is cut, for no job is to break by its own question.
    """

    question: str
    facts: dict[str, str] = {}
    put_to: ToUser | None = None
    remind_after: timedelta = timedelta(days=1)
    expires_after: timedelta = timedelta(days=3)
    if_rejected: str = ""
    if_expired: str = ""

    def __post_init__(self) -> None:
        facts = list(self.facts.items())[:MOST_FACTS]
        cut = {str(title)[:LONGEST_TITLE]: str(value)[:LONGEST_VALUE] for title, value in facts}
        msgspec.structs.force_setattr(self, "facts", cut)
        for name in ("question", "if_rejected", "if_expired"):
            msgspec.structs.force_setattr(self, name, getattr(self, name)[:LONGEST_WORDS])


class ApprovalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One approval as it is kept: asked once, and answered once.

    ``put_to_key``: the ``owner_key`` of who may answer. ``answered_at``: when it was answered, expired or
    withdrawn; ``answered_by``: the name of who answered. ``version``: the store's own mark of its state.
    """

    approval_id: str
    job_id: str
    title: str
    approval: Approval
    asked_by: str
    put_to_key: str
    asked_at: datetime
    expires_at: datetime
    state: ApprovalState = "open"
    answered_at: datetime | None = None
    answered_by: str = ""
    comment: str = ""
    version: str = ""

    @property
    def is_open(self) -> bool:
        return self.state == "open"


def approval_id_of(job_id: str, number: int = 1) -> str:
    """The id of the ``number``-th thing that this job asks: the same each time it is asked."""
    return f"{job_id}.approval.{number}"


def without_links(text: str) -> str:
    """What a user wrote, for a card that another reads: cards make links of brackets."""
    return text.translate(BRACKETS)


def put_to_key(approval: Approval, asked_in: Conversation) -> str:
    """The key of who may answer: as ``owner_key`` gives it for the turn in which they do."""
    if approval.put_to is None:
        return owner_key(asked_in)
    return derived_key("entra", approval.put_to.tenant_id, approval.put_to.aad_object_id)


def approval_card(entry: ApprovalEntry) -> Answer:
    """The approval as it is now: with its buttons while it is open, and with its answer afterwards."""
    facts = {"Job": entry.title, "Asked by": entry.asked_by or "you", **entry.approval.facts}
    if entry.is_open:
        facts["Answer by"] = _moment(entry.expires_at)
        return Answer(card=card("approval", approval_id=entry.approval_id, **_values(entry, facts)))
    if entry.answered_by:
        facts["Answered by"] = entry.answered_by
    if entry.answered_at:
        facts["At"] = _moment(entry.answered_at)
    if entry.comment:
        facts["Comment"] = entry.comment
    colour = COLOURS.get(entry.state, "default")
    return Answer(card=card("approval_ended", colour=colour, **_values(entry, facts)))


def reminder(entry: ApprovalEntry) -> Answer:
    return Answer(
        f"A reminder: {entry.approval.question} Please answer on the card above,"
        f" until {_moment(entry.expires_at)}."
    )


def how_it_ended(entry: ApprovalEntry) -> str:
    """What became of it, for who may answer and presses a button once more."""
    by = f" by {entry.answered_by}" if entry.answered_by else ""
    at = f", {_moment(entry.answered_at)}" if entry.answered_at else ""
    return f"{HEADINGS[entry.state]}{by}{at}: {entry.approval.question}"


def told_to_asker(entry: ApprovalEntry) -> Answer:
    """What who asked for the job is told where nobody said yes."""
    if entry.state == "rejected":
        by = f" by {entry.answered_by}" if entry.answered_by else ""
        words = entry.approval.if_rejected or f"I am sorry, this was rejected{by}: {entry.title}."
        return Answer(f"{words}\n\nThe comment: {entry.comment}" if entry.comment else words)
    if entry.state == "withdrawn":
        return Answer(f"I have cancelled: {entry.title}. Nobody is asked for an answer any more.")
    return Answer(entry.approval.if_expired or f"I am sorry, nobody answered in time: {entry.title}.")


def _values(entry: ApprovalEntry, facts: dict[str, str]) -> dict[str, object]:
    return {
        "heading": HEADINGS[entry.state],
        "question": entry.approval.question,
        "facts": [{"title": title, "value": value} for title, value in facts.items()],
    }


def _moment(moment: datetime) -> str:
    return f"{moment:%d %B %Y, %H:%M} UTC"
