"""The entry of a job on the board: what its owner is shown of it, and may cancel."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from agent.answer import Answer
from agent.conversation import Conversation
from agent.incoming import derived_key

JobState = Literal["running", "done", "failed", "cancelled", "rejected"]
ENDED: tuple[JobState, ...] = ("done", "failed", "cancelled", "rejected")
LONGEST_STEP = 200  # characters: it stands in a card, and in a custom status of 16 KB at most


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is: a few words, and how much of the whole is done (0 to 100) where that is known.

    What is longer or out of range is cut, for no job is to break by its own report.
    """

    step: str
    percent: int | None = None

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "step", self.step[:LONGEST_STEP])
        if self.percent is not None:
            msgspec.structs.force_setattr(self, "percent", min(max(self.percent, 0), 100))


class JobEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One job as its owner sees it. ``step`` and ``percent``: what it last reported.

    ``has_begun``: its first step is over. ``answer``: the last that its owner is told of it. ``request``: as
    in Job, to run it again. ``reason``: why the step that was tried last broke; no user text.
    """

    job_id: str
    kind: str
    title: str
    owner_key: str
    state: JobState
    step: str = ""
    percent: int | None = None
    requested_at: datetime
    updated_at: datetime
    channel_id: str
    conversation_id: str
    has_begun: bool = False
    answer: Answer | None = None
    request: Any = None
    reason: str = ""

    @property
    def is_running(self) -> bool:
        return self.state == "running"


def owner_key(conversation: Conversation) -> str:
    """The key of who speaks in this turn of the conversation: the same in all their conversations.

    Where no Entra user is known, it is the account that the channel names.
    """
    if conversation.tenant_id and conversation.aad_object_id:
        return derived_key("entra", conversation.tenant_id, conversation.aad_object_id)
    if conversation.user_id:
        return derived_key("account", conversation.channel_id, conversation.user_id)
    return derived_key("conversation", conversation.channel_id, conversation.conversation_id)
