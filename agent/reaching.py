"""Brings one activity to whom it is for, and mends what is known of their conversation on the way."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from agent.addressing import channel_thread_parameters, conversation_for, create_conversation
from agent.conversation import Conversation, Place
from agent.ports import (
    ChannelError,
    Clock,
    Connector,
    ConversationGone,
    ConversationNotFound,
    ConversationStore,
    DeliveryOptions,
)
from agent.proactive_message import ToChannel, ToConversation, ToUser


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """Where an activity arrived. ``moved``: its conversation, where that is reached at another host now."""

    activity_id: str | None
    conversation_id: str
    trace: str
    moved: Conversation | None = None


class OnItsWay:
    """Whether a message is out of which no answer tells yet what became of it."""

    def __init__(self) -> None:
        self.is_one = False

    @contextmanager
    def message(self) -> Iterator[None]:
        self.is_one = True
        try:
            yield
        except ChannelError:
            self.is_one = False
            raise
        self.is_one = False


async def reach(
    to: ToUser | ToConversation | ToChannel,
    outgoing: dict[str, Any],
    *,
    thread: str | None,
    on_its_way: OnItsWay,
    conversations: ConversationStore,
    connector: Connector,
    options: DeliveryOptions,
    clock: Clock,
) -> Reached:
    """Send the activity; ``thread``: the one that an earlier part of the message began in a Teams channel.

    A user's conversation that the channel has lost is created anew, once; one that is gone is marked so.
    Raises ConversationUnknown, and as ``Connector.send`` does.
    """
    if isinstance(to, ToChannel):
        return await _reach_channel(
            to, outgoing, thread=thread, on_its_way=on_its_way, connector=connector, options=options
        )
    conversation = await conversation_for(
        to, conversations=conversations, connector=connector, options=options
    )
    try:
        try:
            return await _post(outgoing, conversation, on_its_way=on_its_way, connector=connector)
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
            return await _post(outgoing, conversation, on_its_way=on_its_way, connector=connector)
    except ConversationGone:
        await conversations.mark_gone(conversation, at=clock.now())
        raise


async def _reach_channel(
    to: ToChannel,
    outgoing: dict[str, Any],
    *,
    thread: str | None,
    on_its_way: OnItsWay,
    connector: Connector,
    options: DeliveryOptions,
) -> Reached:
    if thread:
        at = Place(service_url=options.service_url, conversation_id=thread, tenant_id=to.tenant_id)
        with on_its_way.message():
            sent = await connector.send(outgoing, at=at)
        return Reached(activity_id=sent.activity_id, conversation_id=thread, trace=sent.trace)
    with on_its_way.message():
        created = await connector.create_conversation(
            channel_thread_parameters(to, outgoing, options=options),
            service_url=options.service_url,
            tenant_id=to.tenant_id,
        )
    return Reached(
        activity_id=created.activity_id, conversation_id=created.conversation_id, trace=created.trace
    )


async def _post(
    outgoing: dict[str, Any], conversation: Conversation, *, on_its_way: OnItsWay, connector: Connector
) -> Reached:
    with on_its_way.message():
        sent = await connector.send(outgoing, at=conversation.place)
    is_moved = sent.service_url != conversation.service_url
    return Reached(
        activity_id=sent.activity_id,
        conversation_id=conversation.conversation_id,
        trace=sent.trace,
        moved=msgspec.structs.replace(conversation, service_url=sent.service_url) if is_moved else None,
    )
