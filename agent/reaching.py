"""Brings one activity to whom it is for, and mends what is known of their conversation on the way."""

from typing import Any

import msgspec

from agent.addressing import channel_thread_parameters, conversation_for, create_conversation
from agent.conversation import Conversation, Place
from agent.ports import (
    Clock,
    Connector,
    ConversationGone,
    ConversationNotFound,
    ConversationStore,
    DeliveryOptions,
)
from agent.proactive_message import ToChannel, ToConversation, ToUser


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """Where an activity arrived."""

    activity_id: str | None
    conversation_id: str
    trace: str


async def reach(
    to: ToUser | ToConversation | ToChannel,
    outgoing: dict[str, Any],
    *,
    thread: str | None,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> Reached:
    """Send the activity; ``thread``: the one that an earlier part of the message began in a Teams channel.

    A user's conversation that the channel has lost is created anew, once; one that is gone is marked so;
    a host that the channel changed is remembered. Raises ConversationUnknown, and as ``Connector.send`` does.
    """
    if isinstance(to, ToChannel):
        return await _reach_channel(to, outgoing, thread=thread, connector=connector, options=options)
    conversation = await conversation_for(
        to, conversations=conversations, connector=connector, options=options
    )
    try:
        try:
            return await _post(outgoing, conversation, conversations=conversations, connector=connector)
        except ConversationNotFound:
            if not isinstance(to, ToUser):
                raise
            conversation = await create_conversation(
                to,
                conversations=conversations,
                connector=connector,
                options=options,
                instead_of=conversation,
            )
            return await _post(outgoing, conversation, conversations=conversations, connector=connector)
    except ConversationGone:
        await conversations.mark_gone(conversation, at=clock.now())
        raise


async def _reach_channel(
    to: ToChannel,
    outgoing: dict[str, Any],
    *,
    thread: str | None,
    connector: Connector,
    options: DeliveryOptions,
) -> Reached:
    if thread:
        at = Place(service_url=options.service_url, conversation_id=thread, tenant_id=to.tenant_id)
        sent = await connector.send(outgoing, at=at)
        return Reached(activity_id=sent.activity_id, conversation_id=thread, trace=sent.trace)
    created = await connector.create_conversation(
        channel_thread_parameters(to, outgoing, options=options),
        service_url=options.service_url,
        tenant_id=to.tenant_id,
    )
    return Reached(
        activity_id=created.activity_id, conversation_id=created.conversation_id, trace=created.trace
    )


async def _post(
    outgoing: dict[str, Any],
    conversation: Conversation,
    *,
    conversations: ConversationStore,
    connector: Connector,
) -> Reached:
    sent = await connector.send(outgoing, at=conversation.place)
    if sent.service_url != conversation.service_url:
        await conversations.move(conversation, service_url=sent.service_url)
    return Reached(
        activity_id=sent.activity_id, conversation_id=conversation.conversation_id, trace=sent.trace
    )
