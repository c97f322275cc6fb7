"""The daily digest: what each user with open or freshly delivered orders is told."""

from collections import defaultdict
from datetime import date, datetime, timedelta

from agent.incoming import derived_key
from agent.order import Order
from agent.proactive_message import ProactiveMessage, ToConversation, ToUser

DIGEST_COVERS = timedelta(days=1)


def daily_digest(orders: list[Order], *, day: date, expires_at: datetime) -> list[ProactiveMessage]:
    """One message for each user. Its delivery id is derived from day and user, so that a timer that
    fires twice on one day sends once."""
    orders_of: dict[ToUser | ToConversation, list[Order]] = defaultdict(list)
    for order in sorted(orders, key=lambda order: order.number):
        orders_of[_addressee(order)].append(order)
    return [
        ProactiveMessage(
            delivery_id=_digest_id(day, to), to=to, text=_digest_text(theirs), expires_at=expires_at
        )
        for to, theirs in orders_of.items()
    ]


def _addressee(order: Order) -> ToUser | ToConversation:
    """The user; where the channel knows no Entra user, the conversation in which the order was placed."""
    if order.tenant_id and order.aad_object_id:
        return ToUser(tenant_id=order.tenant_id, aad_object_id=order.aad_object_id)
    return ToConversation(channel_id=order.channel_id, conversation_id=order.conversation_id)


def _digest_id(day: date, to: ToUser | ToConversation) -> str:
    parts = (
        (to.tenant_id, to.aad_object_id) if isinstance(to, ToUser) else (to.channel_id, to.conversation_id)
    )
    return f"digest-{day.isoformat()}-{derived_key(*parts)}"


def _digest_text(orders: list[Order]) -> str:
    lines = [f"- #{order.number} ({order.item}): {_progress(order)}" for order in orders]
    return "\n".join(["Your orders today:", *lines])


def _progress(order: Order) -> str:
    return "delivered" if order.status == "delivered" else "on its way"
