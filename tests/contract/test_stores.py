"""One suite for each store, run in memory and on Azure Tables (Azurite)."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from adapters.in_memory import SteppedClock
from agent.conversation import Conversation
from agent.delivery_record import DeliveryRecord
from agent.ports import ConversationStore, DeliveryLedger, OrderService, TurnClaims
from agent.turn_claim import TurnResponse

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_name() -> str:
    """A name that no other test uses: the tables are shared."""
    return uuid4().hex


def personal(**fields: object) -> Conversation:
    conversation = Conversation(
        channel_id="msteams",
        conversation_id=f"a:{a_name()}/?#\\",
        service_url="https://smba.example/amer/",
        conversation_type="personal",
        tenant_id=a_name(),
        aad_object_id=a_name(),
        user_id="29:user",
        user_name="Алекс",
        agent_id="28:agent",
        locale="en-US",
    )
    return msgspec.structs.replace(conversation, **fields)


class TestConversationStore:
    async def test_a_conversation_is_found_as_it_was_heard(self, conversations: ConversationStore) -> None:
        chat = personal()
        await conversations.heard(chat, at=NOON)
        assert await conversations.find(chat.channel_id, chat.conversation_id) == chat

    async def test_an_unheard_conversation_is_not_found(self, conversations: ConversationStore) -> None:
        assert await conversations.find("msteams", a_name()) is None
        assert await conversations.find_personal(a_name(), a_name(), route="teams") is None

    async def test_each_turn_refreshes_the_reference(self, conversations: ConversationStore) -> None:
        chat = personal()
        moved = msgspec.structs.replace(chat, service_url="https://smba.example/emea/", locale=None)
        await conversations.heard(chat, at=NOON)
        await conversations.heard(moved, at=NOON)
        assert await conversations.find(chat.channel_id, chat.conversation_id) == moved

    async def test_a_user_is_found_by_tenant_and_object_id(self, conversations: ConversationStore) -> None:
        chat = personal()
        await conversations.heard(chat, at=NOON)
        assert chat.tenant_id and chat.aad_object_id
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams") == chat
        assert await conversations.find_personal(a_name(), chat.aad_object_id, route="teams") is None
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="copilot") is None

    @pytest.mark.parametrize(
        "fields",
        [
            {"conversation_type": "groupChat"},
            {"conversation_type": "channel"},
            {"conversation_type": None},
            {"is_from_copilot": True},
        ],
    )
    async def test_other_conversations_do_not_displace_the_personal_one(
        self, conversations: ConversationStore, fields: dict[str, object]
    ) -> None:
        chat = personal()
        other = msgspec.structs.replace(chat, conversation_id=f"19:{a_name()}", **fields)
        await conversations.heard(chat, at=NOON)
        await conversations.heard(other, at=NOON)
        assert chat.tenant_id and chat.aad_object_id
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams") == chat
        assert await conversations.find(other.channel_id, other.conversation_id) == other

    async def test_a_created_conversation_is_its_users_on_its_route(
        self, conversations: ConversationStore
    ) -> None:
        chat, thread = personal(), personal(is_from_copilot=True)
        thread = msgspec.structs.replace(thread, tenant_id=chat.tenant_id, aad_object_id=chat.aad_object_id)
        await conversations.heard(chat, at=NOON)
        await conversations.created(thread, route="copilot")
        assert chat.tenant_id and chat.aad_object_id
        assert (
            await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="copilot") == thread
        )
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams") == chat

    async def test_a_conversation_is_gone_until_it_is_heard_again(
        self, conversations: ConversationStore
    ) -> None:
        chat = personal()
        await conversations.heard(chat, at=NOON)
        await conversations.mark_gone(chat, at=NOON)
        gone = await conversations.find(chat.channel_id, chat.conversation_id)
        assert gone == msgspec.structs.replace(chat, gone_at=NOON)
        await conversations.heard(chat, at=NOON)
        assert await conversations.find(chat.channel_id, chat.conversation_id) == chat

    @pytest.mark.parametrize("fields", [{}, {"is_from_copilot": True}])
    async def test_a_created_conversation_that_went_is_forgotten_once_the_user_is_heard_elsewhere(
        self, conversations: ConversationStore, fields: dict[str, object]
    ) -> None:
        chat = personal(**fields)
        thread = msgspec.structs.replace(chat, conversation_id=f"a:{a_name()}")
        await conversations.heard(chat, at=NOON)
        await conversations.created(thread, route="copilot")
        await conversations.mark_gone(thread, at=NOON)
        assert chat.tenant_id and chat.aad_object_id
        gone = await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="copilot")
        assert gone is not None and gone.gone_at == NOON
        await conversations.heard(chat, at=NOON + timedelta(seconds=1))
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="copilot") is None

    async def test_a_users_conversation_that_went_is_known_to_be_gone_until_it_is_heard_again(
        self, conversations: ConversationStore
    ) -> None:
        chat = personal()
        assert chat.tenant_id and chat.aad_object_id
        await conversations.heard(chat, at=NOON)
        # A turn that tells an agent's removal need not tell who removed it.
        await conversations.mark_gone(msgspec.structs.replace(chat, aad_object_id=None), at=NOON)
        gone = await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams")
        assert gone == msgspec.structs.replace(chat, gone_at=NOON)
        await conversations.heard(chat, at=NOON)
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams") == chat

    async def test_a_conversation_that_goes_takes_no_other_of_its_user_with_it(
        self, conversations: ConversationStore
    ) -> None:
        chat = personal()
        assert chat.tenant_id and chat.aad_object_id
        thread = msgspec.structs.replace(chat, conversation_id=f"a:{a_name()}")
        await conversations.heard(chat, at=NOON)
        await conversations.created(thread, route="copilot")
        await conversations.mark_gone(chat, at=NOON)
        assert (
            await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="copilot") == thread
        )

    async def test_what_happens_to_an_unknown_conversation_is_ignored(
        self, conversations: ConversationStore
    ) -> None:
        unknown = personal()
        await conversations.mark_gone(unknown, at=NOON)
        await conversations.move(unknown, service_url="https://smba.example/emea/")
        assert await conversations.find("msteams", unknown.conversation_id) is None

    async def test_a_conversation_that_moved_is_reached_elsewhere_by_every_way(
        self, conversations: ConversationStore
    ) -> None:
        chat = personal()
        await conversations.heard(chat, at=NOON)
        await conversations.move(chat, service_url="https://smba.example/emea/")
        moved = msgspec.structs.replace(chat, service_url="https://smba.example/emea/")
        assert await conversations.find(chat.channel_id, chat.conversation_id) == moved
        assert chat.tenant_id and chat.aad_object_id
        assert await conversations.find_personal(chat.tenant_id, chat.aad_object_id, route="teams") == moved


async def acknowledge(claims: TurnClaims, turn_key: str, response: TurnResponse | None = None) -> None:
    claim = await claims.read(turn_key)
    assert claim is not None
    assert await claims.write(msgspec.structs.replace(claim, state="acknowledged", response=response))


class TestTurnClaims:
    async def test_of_many_at_once_one_claims_the_turn(self, claims: TurnClaims) -> None:
        turn = a_name()
        won = await asyncio.gather(*(claims.insert(turn, at=NOON) for _ in range(8)))
        assert [claim is not None for claim in won].count(True) == 1

    async def test_a_claim_tells_its_state_and_age(self, claims: TurnClaims) -> None:
        turn = a_name()
        assert await claims.read(turn) is None
        await claims.insert(turn, at=NOON)
        claim = await claims.read(turn)
        assert claim is not None
        assert (claim.turn_key, claim.state, claim.claimed_at, claim.response) == (
            turn,
            "claimed",
            NOON,
            None,
        )
        released = msgspec.structs.replace(claim, state="released", sent_ids=("1", None), ambiguities=1)
        await claims.write(released)
        claim = await claims.read(turn)
        assert claim is not None
        assert msgspec.structs.replace(claim, version=released.version) == released

    async def test_a_claim_that_is_gone_is_not_brought_back(self, claims: TurnClaims) -> None:
        turn = a_name()
        claim = await claims.insert(turn, at=NOON)
        assert claim is not None
        await claims.forget(turn)
        assert await claims.write(claim) is None
        assert await claims.read(turn) is None

    async def test_a_claim_is_written_by_who_holds_it_and_by_no_other(self, claims: TurnClaims) -> None:
        turn = a_name()
        first = await claims.insert(turn, at=NOON)
        assert first is not None
        first = await claims.write(msgspec.structs.replace(first, sent_ids=("1",)))
        assert first is not None
        second = await claims.take_over(first, at=NOON + timedelta(seconds=10))
        assert second is not None
        assert await claims.write(msgspec.structs.replace(first, state="released")) is None
        assert await claims.write(msgspec.structs.replace(second, sent_ids=("1", "2")))
        kept = await claims.read(turn)
        assert kept is not None
        assert (kept.state, kept.sent_ids) == ("claimed", ("1", "2"))

    async def test_a_lasting_claim_is_not_dropped_with_the_old_ones(self, claims: TurnClaims) -> None:
        lasting, long_ago = a_name(), NOON - timedelta(days=500)
        await claims.insert(lasting, at=long_ago, is_lasting=True)
        await acknowledge(claims, lasting)
        assert await claims.forget_before(long_ago + timedelta(seconds=1)) == 0
        assert await claims.read(lasting) is not None

    async def test_a_large_response_is_kept_too(self, claims: TurnClaims) -> None:
        turn, response = a_name(), TurnResponse(200, {"activities": ["ä card of 100 KB " * 6000]})
        await claims.insert(turn, at=NOON)
        await acknowledge(claims, turn, response)
        claim = await claims.read(turn)
        assert claim is not None
        assert claim.response == response

    async def test_a_turn_is_acknowledged_whatever_the_size_of_its_response(self, claims: TurnClaims) -> None:
        turn, noise = a_name(), random.Random(1).randbytes(200_000).hex()  # noqa: S311 - not to be zipped
        await claims.insert(turn, at=NOON)
        await acknowledge(claims, turn, TurnResponse(200, {"activities": [noise]}))
        claim = await claims.read(turn)
        assert claim is not None
        assert claim.state == "acknowledged"

    @pytest.mark.parametrize(
        "response", [None, TurnResponse(200, {"value": ["ä", 1, None]}), TurnResponse(501)]
    )
    async def test_the_response_is_kept_to_be_given_again(
        self, claims: TurnClaims, response: TurnResponse | None
    ) -> None:
        turn = a_name()
        await claims.insert(turn, at=NOON)
        await acknowledge(claims, turn, response)
        claim = await claims.read(turn)
        assert claim is not None
        assert (claim.state, claim.response) == ("acknowledged", response)

    async def test_of_many_at_once_one_takes_over(self, claims: TurnClaims) -> None:
        turn, later = a_name(), NOON + timedelta(seconds=10)
        await claims.insert(turn, at=NOON)
        claim = await claims.read(turn)
        assert claim is not None
        won = await asyncio.gather(*(claims.take_over(claim, at=later) for _ in range(8)))
        assert [claim is not None for claim in won].count(True) == 1
        taken = await claims.read(turn)
        assert taken is not None
        assert (taken.claimed_at, taken.state) == (later, "claimed")

    async def test_a_claim_that_moved_on_is_not_taken_over(self, claims: TurnClaims) -> None:
        turn = a_name()
        await claims.insert(turn, at=NOON)
        claim = await claims.read(turn)
        assert claim is not None
        await acknowledge(claims, turn)
        assert not await claims.take_over(claim, at=NOON)
        await claims.forget(turn)
        assert not await claims.take_over(claim, at=NOON)

    async def test_a_forgotten_claim_can_be_made_again(self, claims: TurnClaims) -> None:
        turn = a_name()
        await claims.forget(turn)
        await claims.insert(turn, at=NOON)
        await claims.forget(turn)
        assert await claims.insert(turn, at=NOON)

    async def test_old_claims_are_dropped_and_young_ones_kept(self, claims: TurnClaims) -> None:
        old, young = a_name(), a_name()
        long_ago = NOON - timedelta(days=400)
        await claims.insert(old, at=long_ago)
        await claims.insert(young, at=NOON)
        assert await claims.forget_before(long_ago + timedelta(seconds=1)) == 1
        assert await claims.read(old) is None
        assert await claims.read(young) is not None


def sending(**fields: object) -> DeliveryRecord:
    record = DeliveryRecord(delivery_id=a_name(), state="sending", updated_at=NOON, attempts=1)
    return msgspec.structs.replace(record, **fields)


class TestDeliveryLedger:
    async def test_a_record_is_read_as_it_was_written(self, ledger: DeliveryLedger) -> None:
        body = bytes(range(256)) * 256  # 64 KiB, the largest queue message
        record = sending(
            ambiguities=1,
            reason="ChannelBusy: 429",
            activity_id="a-1",
            body=body,
            state="failed",
            is_beside_stream=True,
        )
        written = await ledger.insert(record)
        assert written is not None and written.version
        assert await ledger.read(record.delivery_id) == written
        assert msgspec.structs.replace(written, version="") == record

    async def test_an_unknown_delivery_has_no_record(self, ledger: DeliveryLedger) -> None:
        assert await ledger.read(a_name()) is None

    async def test_of_many_at_once_one_writes_the_first_record(self, ledger: DeliveryLedger) -> None:
        record = sending()
        written = await asyncio.gather(*(ledger.insert(record) for _ in range(8)))
        assert len([one for one in written if one]) == 1

    async def test_of_many_at_once_one_replaces_the_record(self, ledger: DeliveryLedger) -> None:
        written = await ledger.insert(sending())
        assert written is not None
        sent = msgspec.structs.replace(written, state="sent", activity_id="a-1")
        replaced = await asyncio.gather(*(ledger.replace(sent) for _ in range(8)))
        (won,) = [one for one in replaced if one]
        assert await ledger.read(written.delivery_id) == won

    async def test_a_record_that_was_never_written_is_not_replaced(self, ledger: DeliveryLedger) -> None:
        assert await ledger.replace(sending(version='W/"x"')) is None

    async def test_ended_records_are_dropped_when_they_are_old(self, ledger: DeliveryLedger) -> None:
        long_ago = NOON - timedelta(days=400)
        old = sending(state="sent", updated_at=long_ago)
        at_work = sending(state="retrying", updated_at=long_ago)
        failed = sending(state="failed", updated_at=long_ago)
        young = sending(state="sent")
        for record in (old, at_work, failed, young):
            await ledger.insert(record)
        assert await ledger.forget_before(long_ago + timedelta(seconds=1)) == 1
        assert await ledger.read(old.delivery_id) is None
        assert await ledger.read(at_work.delivery_id) is not None
        assert await ledger.read(failed.delivery_id) is not None
        assert await ledger.read(young.delivery_id) is not None


class TestOrderService:
    async def test_an_order_is_accepted_then_placed_then_delivered(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        order_id, chat = a_name(), personal()
        order = await orders.place(order_id, item="laptop", customer=chat)
        assert (order.status, order.next_change_in) == ("accepted", timedelta(seconds=10))
        assert (order.item, order.tenant_id, order.aad_object_id) == (
            "laptop",
            chat.tenant_id,
            chat.aad_object_id,
        )
        assert (order.channel_id, order.conversation_id) == (chat.channel_id, chat.conversation_id)
        clock.step(timedelta(seconds=10))
        order = await orders.get(order_id)
        assert (order.status, order.next_change_in) == ("placed", timedelta(seconds=20))
        clock.step(timedelta(seconds=20))
        order = await orders.get(order_id)
        assert (order.status, order.next_change_in) == ("delivered", timedelta(0))
        assert order.delivered_at == clock.now()

    async def test_the_same_order_id_again_places_nothing(self, orders: OrderService) -> None:
        order_id = a_name()
        placed = await asyncio.gather(
            *(orders.place(order_id, item="laptop", customer=personal()) for _ in range(5))
        )
        assert len({order.number for order in placed}) == 1

    async def test_order_numbers_start_at_1292_and_no_two_are_the_same(self, orders: OrderService) -> None:
        placed = await asyncio.gather(
            *(orders.place(a_name(), item="laptop", customer=personal()) for _ in range(8))
        )
        numbers = {order.number for order in placed}
        assert len(numbers) == 8
        assert min(numbers) >= 1292

    async def test_an_unknown_order_is_a_key_error(self, orders: OrderService) -> None:
        with pytest.raises(KeyError):
            await orders.get(a_name())
        with pytest.raises(KeyError):
            await orders.mark_delivered(a_name())
        with pytest.raises(KeyError):
            await orders.cancel(a_name())

    async def test_open_and_freshly_delivered_orders_are_listed(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        clock.step(timedelta(days=10))
        long_ago, fresh, under_way = a_name(), a_name(), a_name()
        await orders.place(long_ago, item="laptop", customer=personal())
        clock.step(timedelta(days=3))
        await orders.place(fresh, item="laptop", customer=personal())
        clock.step(timedelta(hours=1))
        await orders.place(under_way, item="laptop", customer=personal(aad_object_id=None, tenant_id=None))
        listed = await orders.open_or_delivered_since(clock.now() - timedelta(days=1))
        found = {order.order_id: order.status for order in listed}
        assert found[fresh] == "delivered"
        assert found[under_way] == "accepted"
        assert long_ago not in found

    async def test_goods_that_arrive_early_are_delivered(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        order_id = a_name()
        await orders.place(order_id, item="laptop", customer=personal())
        await orders.mark_delivered(order_id)
        order = await orders.get(order_id)
        assert (order.status, order.delivered_at) == ("delivered", clock.now())

    async def test_an_order_is_cancelled_until_it_is_delivered(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        for wait in (timedelta(0), timedelta(seconds=15)):
            order_id = a_name()
            placed = await orders.place(order_id, item="laptop", customer=personal())
            clock.step(wait)
            cancelled = await orders.cancel(order_id)
            assert (cancelled.status, cancelled.next_change_in) == ("cancelled", timedelta(0))
            assert cancelled.number == placed.number
            clock.step(timedelta(days=1))
            assert (await orders.get(order_id)).status == "cancelled"

    async def test_a_delivered_order_is_not_cancelled(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        order_id = a_name()
        await orders.place(order_id, item="laptop", customer=personal())
        clock.step(timedelta(seconds=30))
        delivered = await orders.cancel(order_id)
        assert delivered.status == "delivered"
        assert await orders.get(order_id) == delivered

    async def test_cancelling_twice_or_at_once_is_cancelling_once(self, orders: OrderService) -> None:
        order_id = a_name()
        await orders.place(order_id, item="laptop", customer=personal())
        cancelled = await asyncio.gather(*(orders.cancel(order_id) for _ in range(5)))
        assert {order.status for order in (*cancelled, await orders.cancel(order_id))} == {"cancelled"}

    async def test_an_order_that_was_cancelled_is_neither_placed_again_nor_listed(
        self, orders: OrderService, clock: SteppedClock
    ) -> None:
        clock.step(timedelta(days=10))
        order_id = a_name()
        await orders.place(order_id, item="laptop", customer=personal())
        await orders.cancel(order_id)
        assert (await orders.place(order_id, item="laptop", customer=personal())).status == "cancelled"
        listed = await orders.open_or_delivered_since(clock.now() - timedelta(days=1))
        assert order_id not in {order.order_id for order in listed}
