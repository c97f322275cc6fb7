"""Whom a proactive message is for, as the conversation in which they are reached."""

from typing import Any

from agent.conversation import PERSONAL, Conversation
from agent.ports import Connector, ConversationGone, ConversationStore, DeliveryOptions
from agent.proactive_message import ToChannel, ToConversation, ToUser


class ConversationUnknown(Exception):
    """The agent was never heard in this conversation, so it cannot speak there."""


async def conversation_for(
    to: ToUser | ToConversation,
    *,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
) -> Conversation:
    """The conversation in which this one is reached; a user's is created where there is none yet.

    Raises ConversationUnknown, ConversationGone, and what ``Connector.create_conversation`` raises.
    """
    if isinstance(to, ToUser):
        conversation = await conversations.find_personal(to.tenant_id, to.aad_object_id, route=options.route)
        if conversation is None:
            conversation = await create_conversation(
                to, conversations=conversations, connector=connector, options=options
            )
    else:
        conversation = await conversations.find(to.channel_id, to.conversation_id)
        if conversation is None:
            raise ConversationUnknown("the agent was never heard in this conversation")
    if conversation.gone_at:
        raise ConversationGone("the agent was removed or blocked before this message")
    return conversation


async def create_conversation(
    to: ToUser,
    *,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    instead_of: Conversation | None = None,
) -> Conversation:
    """Create the user's conversation on the route that is set, and remember it.

    It is created where ``instead_of`` was, or the user's conversation on the other route is.
    Raises what ``Connector.create_conversation`` raises.
    """
    near = instead_of or await conversations.find_personal(
        to.tenant_id, to.aad_object_id, route="teams" if options.route == "copilot" else "copilot"
    )
    service_url = near.service_url if near else options.service_url
    created = await connector.create_conversation(
        conversation_parameters(to, options=options), service_url=service_url, tenant_id=to.tenant_id
    )
    conversation = Conversation(
        channel_id="msteams",
        conversation_id=created.conversation_id,
        service_url=created.service_url,
        conversation_type=PERSONAL,
        tenant_id=to.tenant_id,
        aad_object_id=to.aad_object_id,
        agent_id=options.agent_id or None,
        is_from_copilot=options.route == "copilot",
    )
    await conversations.created(conversation, route=options.route)
    return conversation


def channel_thread_parameters(
    to: ToChannel, outgoing: dict[str, Any], *, options: DeliveryOptions
) -> dict[str, Any]:
    """The body of POST /v3/conversations for a new thread in a Teams channel, which begins with an activity.

    Teams documentation, "Send proactive messages", section "Create a conversation" (channel thread).
    """
    parameters: dict[str, Any] = {
        "isGroup": True,
        "channelData": {"channel": {"id": to.teams_channel_id}, "tenant": {"id": to.tenant_id}},
        "tenantId": to.tenant_id,
        "activity": outgoing,
    }
    if options.agent_id:
        parameters["bot"] = {"id": options.agent_id}
    return parameters


def conversation_parameters(to: ToUser, *, options: DeliveryOptions) -> dict[str, Any]:
    """The body of POST /v3/conversations.

    Copilot: as in Microsoft's article "Asynchronous and proactive messaging in custom engine agents",
    section "Proactive messages". Teams: Bot Connector REST API, "Create conversation", one member.
    """
    parameters: dict[str, Any] = {"members": [{"id": to.aad_object_id}], "tenantId": to.tenant_id}
    if options.route == "copilot":
        parameters["channelData"] = {
            "productContext": "Copilot",
            "conversation": {"conversationSubType": "AgentProactive"},
        }
        return parameters
    parameters["isGroup"] = False
    parameters["channelData"] = {"tenant": {"id": to.tenant_id}}
    if options.agent_id:
        parameters["bot"] = {"id": options.agent_id}
    return parameters
