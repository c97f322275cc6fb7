"""A turn's claim is true also when the storage breaks or is slow beside it."""

from datetime import datetime

import msgspec
import pytest

from adapters.in_memory import InMemoryTurnClaims
from agent.conversation import Conversation
from agent.delivery_record import WhenAmbiguous
from agent.ports import DeliveryAmbiguous
from agent.turn_claim import CLAIM_HOLDS, TurnClaim, TurnInProgress
from agent.turn_trouble import SORRY
from tests.unit.turns import Channel, incoming_activity


class StorageBroke(Exception):
    """As the storage's adapters raise it."""


def channel_with(when_ambiguous: WhenAmbiguous) -> Channel:
    channel = Channel()
    options = msgspec.structs.replace(channel.services.delivery_options, ambiguous_sends=when_ambiguous)
    channel.services.delivery_options = options
    return channel


@pytest.mark.parametrize("when_ambiguous", ["resend", "hold"])
async def test_a_turn_that_could_not_be_noted_is_taken_up_at_once_and_answered(
    when_ambiguous: WhenAmbiguous,
) -> None:
    channel = channel_with(when_ambiguous)
    services = channel.services
    heard, started = services.conversations.heard, services.clock.now()

    async def broken(conversation: Conversation, *, at: datetime) -> None:
        raise StorageBroke

    services.conversations.heard = broken  # type: ignore[method-assign]
    with pytest.raises(StorageBroke):
        await channel.deliver(incoming_activity(text="hello"))
    services.conversations.heard = heard  # type: ignore[method-assign]
    await channel.deliver(incoming_activity(text="hello"))
    assert len(channel.said()) == 2
    assert channel.said()[0]["text"] == SORRY.text
    assert services.clock.now() == started


async def test_a_claim_that_was_slow_to_write_says_nothing_when_others_take_it_for_dead() -> None:
    channel = Channel()
    clock = channel.services.clock

    class Slow(InMemoryTurnClaims):
        async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
            inserted = await super().insert(turn_key, at=at, is_lasting=is_lasting)
            clock.step(CLAIM_HOLDS)
            if inserted:
                await self.take_over(inserted, at=clock.now())
            return inserted

    channel.services.turn_claims = Slow()
    with pytest.raises(TurnInProgress):
        await channel.deliver(incoming_activity(text="hello"))
    assert channel.said() == []


@pytest.mark.parametrize("fails", ["heard", "the job"])
async def test_a_reply_that_may_have_arrived_stays_so_when_the_next_delivery_fails(fails: str) -> None:
    channel = channel_with("hold")
    services, heard, start_job = channel.services, channel.services.conversations.heard, channel._start_job
    services.connector.errors.append(DeliveryAmbiguous("no answer"))
    with pytest.raises(DeliveryAmbiguous):
        await channel.deliver(incoming_activity())

    async def broken(*what: object, **how: object) -> None:
        raise StorageBroke

    if fails == "heard":
        services.conversations.heard = broken  # type: ignore[method-assign]
    else:
        channel._start_job = broken  # type: ignore[method-assign]
    with pytest.raises(StorageBroke):
        await channel.deliver(incoming_activity())
    services.conversations.heard = heard  # type: ignore[method-assign]
    channel._start_job = start_job  # type: ignore[method-assign]
    await channel.deliver(incoming_activity())
    assert [said["text"] for said in channel.said()] == [SORRY.text]
    claim = await services.turn_claims.read(channel.started[0].job_id)
    assert claim is not None
    assert (claim.state, claim.ambiguities) == ("acknowledged", 1)


async def test_while_another_delivery_is_alive_the_user_is_told_of_no_trouble() -> None:
    channel = Channel()
    services = channel.services

    class Alive(InMemoryTurnClaims):
        async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
            return None

        async def read(self, turn_key: str) -> TurnClaim | None:
            return TurnClaim(turn_key=turn_key, state="claimed", claimed_at=services.clock.now())

    services.turn_claims = Alive()
    with pytest.raises(TurnInProgress):
        await channel.deliver(incoming_activity(text="hello"))
    assert channel.said() == []


async def test_a_turn_that_is_answered_stays_so_although_its_conversation_cannot_be_noted_again() -> None:
    channel = Channel()
    await channel.deliver(incoming_activity(text="hello"))

    async def broken(conversation: Conversation, *, at: datetime) -> None:
        raise StorageBroke

    channel.services.conversations.heard = broken  # type: ignore[method-assign]
    assert await channel.deliver(incoming_activity(text="hello")) is None
    assert len(channel.said()) == 1
