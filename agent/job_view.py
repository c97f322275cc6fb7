"""How a job is shown while it runs: what has become of what the turn began with its acknowledgement."""

from datetime import datetime
from typing import Literal

import msgspec

from agent.conversation import PERSONAL, Conversation
from agent.jobs.definition import JobDefinition, Streamed
from agent.ports import WhyEnded

TEAMS = "msteams"
ViewKind = Literal["stream", "card", "messages"]


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a job is shown. It crosses the task hub.

    ``stream``: a streamed message, ``activity_id`` its stream's id, ``sequence`` its last update's number;
    ``card``: a card that is updated in place, ``activity_id`` its own; ``messages``: a message for each news.
    ``opened_at``: when it began; ``shown_at`` and ``shown``: when it was last moved on, and with what words.
    ``ended``: why the stream takes nothing more; "" while it does.
    """

    kind: ViewKind
    opened_at: datetime
    shown_at: datetime
    activity_id: str | None = None
    sequence: int = 0
    shown: str = ""
    ended: WhyEnded | Literal["", "handed over"] = ""

    @property
    def is_streaming(self) -> bool:
        return self.kind == "stream" and not self.ended and bool(self.activity_id)


def view_kind(definition: JobDefinition, conversation: Conversation) -> ViewKind:
    """How the channel can show a job of this kind there.

    Teams streams in personal chats alone; in Copilot a message that was sent cannot be changed (Microsoft 365
    Copilot documentation, "Known issues", "Custom engine agents").
    """
    if conversation.channel_id != TEAMS:
        return "messages"
    if isinstance(definition, Streamed) and conversation.conversation_type == PERSONAL:
        return "stream"
    return "messages" if conversation.is_from_copilot else "card"
