"""Each reply of a turn is sent once, however often the turn is delivered."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryTurnClaims, RecordingConnector, SteppedClock
from agent.conversation import Place
from agent.delivery_record import WhenAmbiguous
from agent.ports import ChannelBusy, ChannelRefused, DeliveryAmbiguous
from agent.turn_budget import TurnBudget
from agent.turn_claim import CLAIM_HOLDS, TurnClaim, TurnInProgress
from agent.turn_replies import TurnReplies
from agent.turns import claim_turn

CHAT = Place(service_url="https://smba.example/", conversation_id="a:chat")


class CountingClaims(InMemoryTurnClaims):
    """Counts the writes, each of which is a storage operation."""

    writes = 0

    async def write(self, claim: TurnClaim) -> TurnClaim | None:
        self.writes += 1
        return await super().write(claim)


class Turn:
    """A turn that is delivered several times to a bot that says ``texts``."""

    def __init__(self, when_ambiguous: WhenAmbiguous = "resend") -> None:
        self.claims, self.connector, self.clock = CountingClaims(), RecordingConnector(), SteppedClock()
        self._when_ambiguous = when_ambiguous

    async def deliver(self, texts: list[str]) -> TurnReplies:
        replies = await self.begin()
        await self.say(replies, texts)
        return replies

    async def begin(self) -> TurnReplies:
        claim = await claim_turn("turn", claims=self.claims, clock=self.clock)
        now = self.clock.now()
        return TurnReplies(
            claim,
            budget=TurnBudget(acknowledge_by=now, speaks_by=now, ends_at=now, channel_ends_at=now),
            when_ambiguous=self._when_ambiguous,
            max_activity_bytes=400,
            claims=self.claims,
            connector=self.connector,
            clock=self.clock,
        )

    async def say(self, replies: TurnReplies, texts: list[str]) -> list[str | None]:
        return [
            await replies.send({"type": "message", "text": text}, at=CHAT, reply_to_id="in") for text in texts
        ]

    async def release(self, replies: TurnReplies) -> None:
        await self.claims.write(msgspec.structs.replace(replies.claim, state="released"))


async def test_one_reply_costs_no_write_before_it() -> None:
    turn = Turn()
    replies = await turn.deliver(["one"])
    assert (turn.connector.texts, turn.claims.writes) == (["one"], 0)
    assert replies.claim.sent_ids == ("sent-1",)


async def test_each_further_reply_costs_one_write_which_tells_of_the_one_before() -> None:
    turn = Turn()
    await turn.deliver(["one", "two", "three"])
    assert turn.claims.writes == 2
    kept = await turn.claims.read("turn")
    assert kept is not None
    assert kept.sent_ids == ("sent-1", "sent-2")


async def test_what_a_failed_delivery_has_said_is_not_said_again_by_the_next() -> None:
    turn = Turn()
    replies = await turn.deliver(["one", "two"])
    await turn.release(replies)
    again = await turn.begin()
    assert await turn.say(again, ["one", "two", "three"]) == ["sent-1", "sent-2", "sent-3"]
    assert turn.connector.texts == ["one", "two", "three"]
    assert again.claim.ambiguities == 0


@pytest.mark.parametrize(
    ("when_ambiguous", "heard"),
    [("resend", ["one", "two", "two", "three"]), ("hold", ["one", "two", "three"])],
)
async def test_of_a_delivery_that_died_only_the_last_reply_is_uncertain(
    when_ambiguous: WhenAmbiguous, heard: list[str]
) -> None:
    turn = Turn(when_ambiguous)
    await turn.deliver(["one", "two"])  # and dies before it has written that "two" arrived
    turn.clock.step(CLAIM_HOLDS)
    again = await turn.deliver(["one", "two", "three"])
    assert turn.connector.texts == heard
    assert again.claim.ambiguities == 1


async def test_a_short_wait_for_a_busy_channel_is_waited_out_in_the_turn() -> None:
    turn = Turn()
    turn.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=1)))
    started = turn.clock.now()
    await turn.deliver(["one"])
    assert turn.clock.now() - started == timedelta(seconds=1)
    assert turn.connector.texts == ["one"]


@pytest.mark.parametrize(
    ("error", "is_one_on_its_way"),
    [
        (ChannelBusy("429", retry_after=timedelta(seconds=3)), False),
        (ChannelRefused("400"), False),
        (DeliveryAmbiguous("no answer"), True),
        (ConnectionError("whatever"), True),
    ],
)
async def test_what_fails_is_raised_and_it_is_known_whether_a_reply_may_have_arrived(
    error: Exception, is_one_on_its_way: bool
) -> None:
    turn = Turn()
    turn.connector.errors.append(error)
    replies = await turn.begin()
    with pytest.raises(type(error)):
        await turn.say(replies, ["one"])
    assert replies.is_one_on_its_way == is_one_on_its_way


async def test_a_channel_that_stays_busy_is_not_waited_for_without_end() -> None:
    turn = Turn()
    turn.connector.errors.extend(ChannelBusy("429", retry_after=timedelta(seconds=1)) for _ in range(9))
    with pytest.raises(ChannelBusy):
        await turn.deliver(["one"])
    assert len(turn.connector.errors) == 6


async def test_a_long_reply_goes_in_parts_that_count_as_replies() -> None:
    turn = Turn()
    long: dict[str, Any] = {"type": "message", "text": "a" * 150 + "\n\n" + "b" * 150}
    replies = await turn.begin()
    await replies.send(long, at=CHAT, reply_to_id="in")
    assert turn.connector.texts == ["a" * 150, "b" * 150]
    assert replies.claim.sent_ids == ("sent-1", "sent-2")


async def test_each_delivery_that_dies_over_a_reply_is_counted() -> None:
    turn = Turn()
    for _ in range(3):
        again = await turn.deliver(["one"])  # and dies before it has written that "one" arrived
        turn.clock.step(CLAIM_HOLDS)
    assert turn.connector.texts == ["one", "one", "one"]
    assert again.claim.ambiguities == 2


async def test_a_delivery_that_another_one_took_over_says_no_more() -> None:
    turn = Turn()
    slow = await turn.begin()
    await turn.say(slow, ["one"])
    turn.clock.step(CLAIM_HOLDS)
    await turn.begin()
    with pytest.raises(TurnInProgress):
        await turn.say(slow, ["two"])
    assert turn.connector.texts == ["one"]
