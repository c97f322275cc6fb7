"""The daily digest."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from agent.digest import daily_digest
from agent.order import Order
from agent.proactive_message import ProactiveMessage, ToConversation, ToUser

DAY = date(2026, 1, 2)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


def order(number: int, **fields: Any) -> Order:
    return Order(
        **{
            "order_id": f"order-{number}",
            "number": number,
            "item": "laptop",
            "status": "placed",
            "next_change_in": timedelta(0),
            "delivered_at": NOON,
            "channel_id": "msteams",
            "conversation_id": "a:chat",
            "tenant_id": "tenant",
            "aad_object_id": "alex",
            **fields,
        }
    )


def digest(*orders: Order, day: date = DAY) -> list[ProactiveMessage]:
    return daily_digest(list(orders), day=day, expires_at=NOON)


def test_each_user_gets_one_message_with_all_of_their_orders() -> None:
    messages = digest(order(1293), order(1292, status="delivered"), order(7, aad_object_id="megan"))
    assert [message.to for message in messages] == [
        ToUser(tenant_id="tenant", aad_object_id="megan"),
        ToUser(tenant_id="tenant", aad_object_id="alex"),
    ]
    assert messages[1].text == "Your orders today:\n- #1292 (laptop): delivered\n- #1293 (laptop): on its way"


def test_two_runs_of_one_day_make_the_same_ids_and_the_next_day_makes_others() -> None:
    (first,) = digest(order(1))
    (again,) = digest(order(1), order(2))
    (next_day,) = digest(order(1), day=DAY + timedelta(days=1))
    assert first.delivery_id == again.delivery_id
    assert next_day.delivery_id != first.delivery_id


def test_users_of_one_day_have_ids_of_their_own() -> None:
    assert (
        len(
            {
                message.delivery_id
                for message in digest(order(1), order(2, aad_object_id="megan"), order(3, tenant_id="other"))
            }
        )
        == 3
    )


def test_where_the_channel_knows_no_entra_user_the_conversation_is_told() -> None:
    (message,) = digest(order(1, aad_object_id=None))
    assert message.to == ToConversation(channel_id="msteams", conversation_id="a:chat")


def test_without_orders_nobody_is_told_anything() -> None:
    assert digest() == []
