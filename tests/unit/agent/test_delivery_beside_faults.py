"""What the ledger says of a delivery is true also when the storage breaks or is slow beside it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryDeliveryLedger, InMemoryServices, SteppedClock
from agent import delivery
from agent.conversation import Conversation, Route
from agent.delivery import SEND_HOLDS, SEND_LASTS
from agent.delivery_record import DeliveryRecord
from agent.ports import ChannelBusy, Sent
from agent.proactive_message import parse_proactive_message
from tests.unit.agent.test_delivery import message, send, services_that_heard


class StorageBroke(Exception):
    """As the storage's adapters raise it."""


async def test_a_move_that_cannot_be_kept_does_not_have_the_message_sent_again() -> None:
    services = await services_that_heard()
    take = services.connector.send

    async def taken_elsewhere(outgoing: dict[str, Any], **where: Any) -> Sent:
        sent = await take(outgoing, **where)
        return msgspec.structs.replace(sent, service_url="https://smba.example/gcc/")

    async def broken(conversation: Conversation, *, service_url: str) -> None:
        raise StorageBroke

    services.connector.send = taken_elsewhere  # type: ignore[method-assign]
    services.conversations.move = broken  # type: ignore[method-assign]
    with pytest.raises(StorageBroke):
        await send(services, message())
    record = await send(services, message())
    assert (record.state, record.activity_id) == ("sent", "sent-1")
    assert len(services.connector.texts) == 1


async def test_a_part_that_arrived_is_not_sent_again_when_the_ledger_broke_after_it() -> None:
    services = await services_that_heard()
    services.delivery_options = msgspec.structs.replace(services.delivery_options, max_activity_bytes=400)

    class BreaksOnce(InMemoryDeliveryLedger):
        has_broken = False

        async def replace(self, record: DeliveryRecord) -> DeliveryRecord | None:
            if record.parts_sent and not self.has_broken:
                self.has_broken = True
                raise StorageBroke
            return await super().replace(record)

    services.ledger = BreaksOnce()
    long = message(text="a" * 150 + "\n\n" + "b" * 150)
    with pytest.raises(StorageBroke):
        await send(services, long)
    assert (await send(services, long)).state == "sent"
    assert services.connector.texts == ["a" * 150, "b" * 150]


async def test_a_time_out_before_anything_went_out_is_not_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "SEND_LASTS", timedelta(seconds=0.05))
    services = await services_that_heard()
    find = services.conversations.find_personal

    async def never(tenant_id: str, aad_object_id: str, *, route: Route) -> None:
        await asyncio.Event().wait()

    services.conversations.find_personal = never  # type: ignore[method-assign]
    record = await send(services, message(), "hold")
    assert (record.state, record.ambiguities) == ("busy", 0)
    services.conversations.find_personal = find  # type: ignore[method-assign]
    services.clock.step(timedelta(minutes=1))
    assert (await send(services, message(), "hold")).state == "sent"


async def test_a_time_out_while_a_message_is_out_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery, "SEND_LASTS", timedelta(seconds=0.05))
    services = await services_that_heard()

    async def never(outgoing: dict[str, Any], **where: Any) -> None:
        await asyncio.Event().wait()

    services.connector.send = never  # type: ignore[assignment]
    record = await send(services, message(), "hold")
    assert (record.state, record.ambiguities) == ("ambiguous", 1)


async def test_a_claim_that_was_slow_to_write_does_not_send_when_others_take_it_for_dead() -> None:
    clock = SteppedClock()

    class Slow(InMemoryDeliveryLedger):
        async def insert(self, record: DeliveryRecord) -> DeliveryRecord | None:
            inserted = await super().insert(record)
            clock.step(SEND_HOLDS)
            return inserted

    assert SEND_LASTS < SEND_HOLDS
    services = InMemoryServices(clock=clock)
    services.ledger = Slow()

    async def slowly(outgoing: dict[str, Any], **where: Any) -> None:
        await asyncio.sleep(0)
        raise AssertionError("it was sent")

    services.connector.send = slowly  # type: ignore[assignment]
    services.conversations.find_personal = _yielding(services)  # type: ignore[method-assign]
    assert (await send(services, message(), "hold")).state == "busy"


def _yielding(services: InMemoryServices) -> Any:
    find = services.conversations.find_personal

    async def as_over_a_network(*who: Any, **where: Any) -> Conversation | None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await find(*who, **where)

    return as_over_a_network


async def test_a_message_that_expires_while_the_channel_is_busy_ends_so() -> None:
    services = await services_that_heard()
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(days=30)))
    short = message(expires_at=services.clock.now() + timedelta(days=1))
    assert (await send(services, short)).state == "busy"
    services.clock.step(timedelta(days=7))
    assert (await send(services, short)).state == "expired"


async def test_no_date_that_a_sender_may_give_breaks_the_delivery() -> None:
    services = await services_that_heard()
    for number, then in enumerate((datetime.max, datetime.min)):
        odd = message(delivery_id=f"d-{number}", waiting_since=then.replace(tzinfo=UTC))
        assert (await send(services, odd)).state in ("sent", "expired")


async def test_what_is_kept_of_a_message_is_no_larger_than_it_came() -> None:
    came = b'{"deliveryId":"d","to":{"kind":"user","tenantId":"t","aadObjectId":"u"},"text":"hello"}'
    assert len(msgspec.json.encode(parse_proactive_message(came))) <= len(came)
