"""Whatever hangs in a turn, its user is told within its budget, and the channel is answered in time."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer
from agent.delivery_record import WhenAmbiguous
from agent.jobs import catalog
from agent.jobs.definition import Done, Job, Outcome
from agent.ports import ChannelBusy, Services
from agent.turn_trouble import SORRY
from tests.unit.agent.stepped_loop import LoopClock, run
from tests.unit.turns import Channel, incoming_activity

TAKEN_ON = "Thank you for ordering a laptop. I will keep you posted with updates."
CALL_LASTS = 6.0  # of a table that does not answer, with all its tries
TOLD_WITHIN = 10.0
CHANNEL_WAITS = 15.0


class Asked:
    """A job that is done as soon as it has begun."""

    kind = "asked"
    title = "Ask"
    deadline = timedelta(minutes=5)

    def recognises(self, text: str) -> bool:
        return text == "ask"

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("I am asking.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Done(tell=Answer("Seven."))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Done(tell=Answer("Seven."))

    def failure(self, job: Job) -> Answer:
        return Answer("Nobody knows.")


class StorageDoesNotAnswer(Exception):
    """As the storage's adapters raise it."""


async def hang(*_: Any, **__: Any) -> Any:
    """As a call of a table hangs."""
    await asyncio.sleep(CALL_LASTS)
    raise StorageDoesNotAnswer


async def hang_for_ever(*_: Any, **__: Any) -> Any:
    await asyncio.Event().wait()


class TimedChannel(Channel):
    """Notes when something was said, in seconds from the first request on the running loop."""

    def __init__(self, when_ambiguous: WhenAmbiguous = "resend") -> None:
        super().__init__()
        clock = LoopClock()
        self.services = InMemoryServices(clock=clock)  # type: ignore[arg-type]
        options = self.services.delivery_options
        self.services.delivery_options = msgspec.structs.replace(options, ambiguous_sends=when_ambiguous)
        self.began = clock.now()
        self.told: list[tuple[float, str]] = []
        take = self.services.connector.send

        async def timed(outgoing: dict[str, Any], **how: Any) -> Any:
            sent = await take(outgoing, **how)
            if outgoing["type"] == "message":
                self.told.append((self.seconds(), self.services.connector.said[-1]))
            return sent

        self.services.connector.send = timed  # type: ignore[method-assign]

    def seconds(self) -> float:
        return (self.services.clock.now() - self.began).total_seconds()

    async def answered(self, *, sent_before: float = 0.0, **fields: Any) -> float:
        """Deliver the turn ``sent_before`` its request came; how long its answer took."""
        timestamp = (self.services.clock.now() - timedelta(seconds=sent_before)).isoformat()
        began = self.seconds()
        with suppress(Exception):  # whatever it is, it is an HTTP answer
            await self.deliver(incoming_activity(timestamp=timestamp, **fields))
        return self.seconds() - began


def break_claim(channel: TimedChannel) -> None:
    channel.services.turn_claims.insert = hang  # type: ignore[method-assign]


def break_heard(channel: TimedChannel) -> None:
    channel.services.conversations.heard = hang  # type: ignore[method-assign]


def break_heard_and_what_follows(channel: TimedChannel) -> None:
    break_heard(channel)
    channel.services.turn_claims.write = hang  # type: ignore[method-assign]


def break_heard_for_ever(channel: TimedChannel) -> None:
    channel.services.conversations.heard = hang_for_ever  # type: ignore[method-assign]


def break_claim_for_ever(channel: TimedChannel) -> None:
    channel.services.turn_claims.insert = hang_for_ever  # type: ignore[method-assign]


def break_start(channel: TimedChannel) -> None:
    channel._start_job = hang_for_ever  # type: ignore[method-assign]
    channel.services.turn_claims.write = hang  # type: ignore[method-assign]


def break_board(channel: TimedChannel) -> None:
    channel.services.job_board.insert = hang_for_ever  # type: ignore[method-assign]
    channel.services.job_board.find = hang  # type: ignore[method-assign]


def break_board_at_the_look(channel: TimedChannel) -> None:
    channel.services.job_board.find = hang  # type: ignore[method-assign]


def break_renewal(channel: TimedChannel) -> None:
    channel.begins = False
    channel.services.turn_claims.take_over = hang  # type: ignore[method-assign]


def break_ledger(channel: TimedChannel) -> None:
    channel.services.ledger.insert = hang_for_ever  # type: ignore[method-assign]


def break_ledgers_note(channel: TimedChannel) -> None:
    channel.services.ledger.replace = hang_for_ever  # type: ignore[method-assign]


def break_end(channel: TimedChannel) -> None:
    channel.begins = False
    channel.services.turn_claims.write = hang  # type: ignore[method-assign]


Break = Callable[[TimedChannel], None]
HANGS: list[Break] = [
    break_claim,
    break_claim_for_ever,
    break_heard,
    break_heard_and_what_follows,
    break_heard_for_ever,
    break_start,
    break_board,
    break_board_at_the_look,
    break_renewal,
    break_ledger,
    break_ledgers_note,
    break_end,
]


@pytest.mark.parametrize("sent_before", [0.0, 1.5, 6.0])
@pytest.mark.parametrize("break_it", HANGS, ids=lambda broken: broken.__name__)
def test_where_the_storage_hangs_the_user_is_told_in_time_and_the_channel_is_answered(
    break_it: Break, sent_before: float
) -> None:
    async def work() -> tuple[TimedChannel, float]:
        channel = TimedChannel()
        break_it(channel)
        return channel, await channel.answered(sent_before=sent_before)

    channel, took = run(work())
    assert len(channel.told) == 1
    latest = TOLD_WITHIN - sent_before
    assert channel.told[0][0] <= latest
    assert took < CHANNEL_WAITS


@pytest.mark.parametrize("break_it", HANGS, ids=lambda broken: broken.__name__)
def test_where_storage_and_channel_hang_the_channel_is_answered_in_time(break_it: Break) -> None:
    async def work() -> float:
        channel = TimedChannel()
        break_it(channel)
        channel.services.connector.send = hang_for_ever  # type: ignore[method-assign]
        return await channel.answered()

    assert run(work()) < CHANNEL_WAITS


@pytest.mark.parametrize("break_it", [break_board, break_board_at_the_look])
def test_a_board_that_hangs_holds_up_no_acknowledgement(break_it: Break) -> None:
    async def work() -> TimedChannel:
        channel = TimedChannel()
        break_it(channel)
        await channel.answered()
        return channel

    assert [said for _, said in run(work()).told] == [TAKEN_ON]


def test_what_a_user_asks_of_their_jobs_is_told_to_fail_within_the_budget() -> None:
    async def work() -> tuple[TimedChannel, float]:
        channel = TimedChannel()
        channel._cancel_job = hang_for_ever  # type: ignore[method-assign]
        await channel.answered()
        channel.began = channel.services.clock.now()
        channel.told.clear()
        return channel, await channel.answered(id="incoming-2", text="cancel")

    channel, took = run(work())
    ((at, said),) = channel.told
    assert (at <= TOLD_WITHIN, said) == (True, SORRY.text)
    assert took < CHANNEL_WAITS


def test_a_turn_whose_hearing_hung_is_answered_by_its_next_delivery_whatever_ambiguous_sends_is() -> None:
    """Nothing of it was on its way."""

    async def work() -> TimedChannel:
        channel = TimedChannel("hold")
        heard = channel.services.conversations.heard
        break_heard_for_ever(channel)
        await channel.answered()
        channel.services.conversations.heard = heard  # type: ignore[method-assign]
        await channel.answered(sent_before=15)
        return channel

    assert [said for _, said in run(work()).told] == [SORRY.text, TAKEN_ON]


def test_a_redelivery_has_the_time_that_the_channel_gives_it_to_start_the_job() -> None:
    async def work() -> TimedChannel:
        channel = TimedChannel()
        start_job = channel._start_job
        channel._start_job = hang_for_ever  # type: ignore[method-assign]
        await channel.answered()

        async def slow(job: Job, *, may_exist: bool) -> None:
            await asyncio.sleep(4)
            await start_job(job, may_exist=may_exist)

        channel._start_job = slow  # type: ignore[method-assign]
        await channel.answered(sent_before=15)
        return channel

    assert [said for _, said in run(work()).told] == [SORRY.text, TAKEN_ON]


def test_a_claim_is_renewed_between_two_tries_of_a_reply() -> None:
    async def work() -> tuple[TimedChannel, list[float]]:
        channel = TimedChannel()
        ages: list[float] = []
        send_it, busy = channel.services.connector.send, 2

        async def slow(outgoing: dict[str, Any], **how: Any) -> Any:
            nonlocal busy
            await asyncio.sleep(2)
            if busy:
                busy -= 1
                raise ChannelBusy("429", retry_after=timedelta(seconds=2))
            claim = await channel.services.turn_claims.read(channel.started[0].job_id)
            assert claim
            ages.append((channel.services.clock.now() - claim.claimed_at).total_seconds())
            return await send_it(outgoing, **how)

        channel.services.connector.send = slow  # type: ignore[method-assign]
        await channel.answered()
        return channel, ages

    channel, ages = run(work())
    assert [said for _, said in channel.told] == [TAKEN_ON]
    assert max(ages) <= 6


def test_a_channel_that_does_not_answer_is_not_waited_for_until_the_turn_is_given_up() -> None:
    async def work() -> float:
        channel = TimedChannel()
        channel.services.connector.send = hang_for_ever  # type: ignore[method-assign]
        return await channel.answered(text="hello")

    assert run(work()) == 5


def test_who_pressed_a_button_that_is_answered_in_its_response_is_told_nothing_besides() -> None:
    async def work() -> tuple[TimedChannel, float]:
        channel = TimedChannel()
        break_start(channel)
        action = {"action": {"type": "Action.Execute", "data": {"job": "order_laptop"}}}
        took = await channel.answered(type="invoke", name="adaptiveCard/action", value=action)
        return channel, took

    channel, took = run(work())
    assert (channel.told, took < CHANNEL_WAITS) == ([], True)


def test_a_result_that_cannot_be_noted_is_told_and_the_turn_is_answered_with_success(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(catalog, "JOBS", [Asked()])

    async def work() -> TimedChannel:
        channel = TimedChannel()
        break_ledgers_note(channel)
        await channel.deliver(incoming_activity(text="ask"))
        return channel

    channel = run(work())
    assert [said for _, said in channel.told] == ["Seven."]
