"""A turn is claimed once, and taken over from a delivery that died."""

import json
from datetime import datetime, timedelta

import msgspec
import pytest

from adapters.in_memory import InMemoryTurnClaims, SteppedClock
from agent.incoming import BadTurn, parse_incoming
from agent.turn_claim import CLAIM_HOLDS, TurnClaim, TurnInProgress
from agent.turns import claim_turn
from tests.unit.turns import incoming_activity


async def test_the_first_delivery_claims_the_turn() -> None:
    claim = await claim_turn("turn", claims=InMemoryTurnClaims(), clock=SteppedClock())
    assert (claim.state, claim.is_resumed) == ("claimed", False)


async def test_a_second_delivery_waits_for_the_first_and_learns_of_its_end() -> None:
    claims, clock = InMemoryTurnClaims(), SteppedClock()
    await claim_turn("turn", claims=claims, clock=clock)

    class EndsMeanwhile(SteppedClock):
        async def sleep(self, seconds: float) -> None:
            await super().sleep(seconds)
            claim = await claims.read("turn")
            assert claim is not None
            await claims.write(msgspec.structs.replace(claim, state="acknowledged"))

    waiting = EndsMeanwhile()
    assert (await claim_turn("turn", claims=claims, clock=waiting)).state == "acknowledged"
    assert waiting.now() - clock.now() < timedelta(seconds=1)


async def test_a_delivery_that_is_silent_for_too_long_is_taken_for_dead() -> None:
    claims, clock = InMemoryTurnClaims(), SteppedClock()
    await claim_turn("turn", claims=claims, clock=clock)
    started = clock.now()
    claim = await claim_turn("turn", claims=claims, clock=clock)
    assert (claim.state, claim.is_resumed, claim.is_uncertain) == ("claimed", True, True)
    assert clock.now() - started >= CLAIM_HOLDS


async def test_a_turn_that_failed_is_taken_up_at_once() -> None:
    claims, clock = InMemoryTurnClaims(), SteppedClock()
    first = await claim_turn("turn", claims=claims, clock=clock)
    await claims.write(msgspec.structs.replace(first, state="released"))
    started = clock.now()
    claim = await claim_turn("turn", claims=claims, clock=clock)
    assert (claim.state, claim.is_resumed, claim.is_uncertain) == ("claimed", True, False)
    assert clock.now() == started


async def test_of_several_only_one_takes_over_and_the_others_are_told_to_come_back() -> None:
    claims, clock = InMemoryTurnClaims(), SteppedClock()
    await claim_turn("turn", claims=claims, clock=clock)

    class Beaten(InMemoryTurnClaims):
        async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
            return None

        async def read(self, turn_key: str) -> TurnClaim | None:
            return await claims.read(turn_key)

        async def take_over(self, claim: TurnClaim, *, at: datetime) -> TurnClaim | None:
            return None

    with pytest.raises(TurnInProgress):
        await claim_turn("turn", claims=Beaten(), clock=clock)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        b'{"type":"message","channelId":"msteams","from":{"id":"a"},"conversation":{"id":"c"}}',
        b'{"type":"message","channelId":"msteams","serviceUrl":1,"from":{"id":"a"},"conversation":{"id":"c"}}',
        b'{"type":"message","channelId":"msteams","serviceUrl":"s","from":{"id":"a"},"conversation":"c"}',
    ],
)
def test_what_is_no_channel_activity_is_a_bad_turn(body: bytes) -> None:
    with pytest.raises(BadTurn, match="not a channel activity"):
        parse_incoming(body)


def test_an_activity_without_an_id_is_known_by_its_body() -> None:
    account = b'"from":{"id":"a"},"conversation":{"id":"c"}'
    body = b'{"type":"message","channelId":"c","serviceUrl":"s",%s,"text":"1"}' % account
    _, first = parse_incoming(body)
    _, again = parse_incoming(body)
    _, other = parse_incoming(body.replace(b'"1"', b'"2"'))
    assert first.turn_key == again.turn_key != other.turn_key


def test_each_change_of_a_message_is_a_turn_of_its_own_though_it_has_the_messages_id() -> None:
    def key(**fields: str) -> str:
        return parse_incoming(json.dumps(incoming_activity(**fields)).encode())[1].turn_key

    edited = {"type": "messageUpdate", "text": "order two"}
    keys = [key(), key(**edited), key(type="messageUpdate", text="order three"), key(type="messageDelete")]
    assert len(set(keys)) == 4
    assert key(**edited) == keys[1]
