"""A conversation that the agent knows: all that is needed to speak in it again."""

from datetime import datetime
from typing import Literal

import msgspec

from agent.incoming import CHANNEL, IncomingActivity, derived_key

Route = Literal["teams", "copilot"]
PERSONAL = "personal"  # Teams' conversationType of a one-to-one chat
SHARED = frozenset({"groupChat", CHANNEL})  # and of those in which several people are


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where something is sent: one conversation, at one Bot Connector, in one Entra tenant."""

    service_url: str
    conversation_id: str
    tenant_id: str | None = None


class Conversation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One conversation as it was last heard, or as it was created by us.

    ``gone_at`` is set when the agent was removed from it or blocked in it.
    """

    channel_id: str
    conversation_id: str
    service_url: str
    conversation_type: str | None = None
    tenant_id: str | None = None
    aad_object_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    agent_id: str | None = None
    locale: str | None = None
    is_from_copilot: bool = False
    gone_at: datetime | None = None

    @property
    def place(self) -> Place:
        return Place(
            service_url=self.service_url, conversation_id=self.conversation_id, tenant_id=self.tenant_id
        )

    @property
    def conversation_key(self) -> str:
        return conversation_key(self.channel_id, self.conversation_id)

    @property
    def is_shared(self) -> bool:
        """Whether others read along: what is meant for one of them mentions them."""
        return self.conversation_type in SHARED

    @property
    def is_personal_in_teams(self) -> bool:
        """Whether this is the chat in which its user is reached on the route ``teams``.

        A chat in Copilot is not: there, proactive messages have a thread of their own.
        """
        return self.conversation_type == PERSONAL and not self.is_from_copilot


def conversation_key(channel_id: str, conversation_id: str) -> str:
    return derived_key(channel_id, conversation_id)


def conversation_of(incoming: IncomingActivity) -> Conversation:
    """What a turn tells of its conversation."""
    return Conversation(
        channel_id=incoming.channel_id,
        conversation_id=incoming.conversation.conversation_id,
        service_url=incoming.service_url,
        conversation_type=incoming.conversation.conversation_type,
        tenant_id=incoming.tenant_id,
        aad_object_id=incoming.aad_object_id,
        user_id=incoming.sender.account_id,
        user_name=incoming.sender.name,
        agent_id=incoming.recipient.account_id if incoming.recipient else None,
        locale=incoming.locale,
        is_from_copilot=incoming.is_from_copilot,
    )
