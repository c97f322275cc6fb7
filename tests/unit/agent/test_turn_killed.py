"""A process dies before or after any call that a turn makes: the user is told all the same, and in order."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.delivery_record import WhenAmbiguous
from agent.follow_up import FollowUp, send
from agent.jobs import catalog, running
from agent.jobs.definition import Done, Job, Outcome
from agent.ports import Services
from agent.turn_claim import CLAIM_HOLDS
from tests.unit.turns import Channel, incoming_activity

TAKEN_ON, COUNTED = "I have begun to count.", "There are seven."
MOST_CALLS = 120


class Died(BaseException):
    """The process is gone."""


class Count:
    """A job that is done as soon as it has begun."""

    kind = "count"
    title = "Count"
    deadline = timedelta(minutes=5)

    def recognises(self, text: str) -> bool:
        return text == "count"

    def acknowledgement(self, job: Job) -> Answer:
        return Answer(TAKEN_ON)

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Done(tell=Answer(COUNTED))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Done(tell=Answer(COUNTED))

    def failure(self, job: Job) -> Answer:
        return Answer("I cannot count.")


class MortalChannel(Channel):
    """Delivers turns to a process that dies at its ``dies_at``-th call of storage or channel."""

    def __init__(self, when_ambiguous: WhenAmbiguous) -> None:
        super().__init__()
        services = self.services
        services.delivery_options = msgspec.structs.replace(
            services.delivery_options, ambiguous_sends=when_ambiguous
        )
        self.calls = self.dies_at = 0
        self.dies_before = False
        for port in (
            services.turn_claims,
            services.conversations,
            services.ledger,
            services.job_board,
            services.connector,
        ):
            for name in ("insert", "read", "write", "take_over", "heard", "replace", "find", "send"):
                if hasattr(port, name):
                    setattr(port, name, self._mortal(getattr(port, name)))
        self._start_job = self._mortal(self._start_job)  # type: ignore[method-assign]

    def _mortal(self, call: Callable[..., Any]) -> Callable[..., Any]:
        async def called(*what: Any, **how: Any) -> Any:
            self.calls += 1
            if self.dies_at and self.calls >= self.dies_at + (not self.dies_before):
                raise Died  # who is dead does no more
            result = await call(*what, **how)
            if self.calls == self.dies_at:
                raise Died
            return result

        return called

    async def is_killed(self, activity: dict[str, Any], *, at: int, before: bool) -> bool:
        """Deliver it and die; False where it makes fewer calls than that."""
        self.calls, self.dies_at, self.dies_before = 0, at, before
        try:
            await self.deliver(activity)
        except Died:
            return True
        finally:
            self.dies_at = 0
        return False

    async def follow_up(self) -> None:
        """What the job's orchestration tells, until it is told."""
        follow_up = FollowUp(job=self.started[0], number=1, answer=Answer(COUNTED), is_unseen=True)
        while (sent := await send(follow_up, services=self.services)).outcome == "busy":
            self.services.clock.step(timedelta(seconds=max(sent.retry_in, 1)))


@pytest.fixture(autouse=True)
def counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "JOBS", [Count()])


@pytest.mark.parametrize("tells_first", [False, True], ids=["redelivered first", "told first"])
@pytest.mark.parametrize("is_fast", [True, False], ids=["fast", "slow"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("when_ambiguous", ["resend", "hold"])
async def test_whatever_call_a_process_dies_at_the_user_is_told_in_order_and_as_often_as_is_known(
    when_ambiguous: WhenAmbiguous, before: bool, is_fast: bool, tells_first: bool
) -> None:
    for at in range(1, MOST_CALLS):
        channel = MortalChannel(when_ambiguous)
        channel.begins = is_fast
        activity = incoming_activity(text="count", channelId="webchat")
        if not await channel.is_killed(activity, at=at, before=before):
            break
        channel.services.clock.step(CLAIM_HOLDS)
        if channel.started and not is_fast:
            await running.begin(channel.started[0], services=channel.services)
        if tells_first and channel.started and not is_fast:
            await channel.services.conversations.heard(
                channel.started[0].requested_by, at=channel.services.clock.now()
            )
            await channel.follow_up()
        await channel.deliver(activity)
        await channel.follow_up()
        said, case = channel.services.connector.said, f"killed at call {at}"
        assert said == sorted(said, key=[TAKEN_ON, COUNTED].index), case
        if when_ambiguous == "hold":
            assert len(set(said)) == len(said), case
            assert is_fast or COUNTED in said, case  # the turn had nothing to do with its telling
            record = await channel.services.ledger.read(f"{channel.started[0].job_id}.1")
            assert record
            assert COUNTED in said or record.state == "ambiguous", case
        else:
            assert COUNTED in said, case
            assert said.count(COUNTED) <= 2, case
            assert said.count(TAKEN_ON) <= 2, case
    else:
        pytest.fail("the turn makes more calls than were tried")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_turn_that_is_answered_in_its_response_is_answered_wholly_by_the_next_delivery(
    before: bool,
) -> None:
    activity = incoming_activity(text="count", deliveryMode="expectReplies")
    for at in range(1, MOST_CALLS):
        channel = MortalChannel("resend")
        if not await channel.is_killed(activity, at=at, before=before):
            break
        channel.services.clock.step(CLAIM_HOLDS)
        response = await channel.deliver(activity)
        again = await channel.deliver(activity)
        await channel.follow_up()
        assert response
        assert response == again
        told = [one["text"] for one in response.body["activities"]] + channel.services.connector.said
        assert COUNTED in told, f"killed at call {at}"
    else:
        pytest.fail("the turn makes more calls than were tried")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_a_button_that_is_answered_in_its_response_gets_the_same_from_each_later_delivery(
    before: bool,
) -> None:
    action = {"action": {"type": "Action.Execute", "data": {"job": "count"}}}
    activity = incoming_activity(type="invoke", name="adaptiveCard/action", value=action)
    for at in range(1, MOST_CALLS):
        channel = MortalChannel("resend")
        if not await channel.is_killed(activity, at=at, before=before):
            break
        channel.services.clock.step(CLAIM_HOLDS)
        bodies = [(await channel.deliver(activity)) for _ in range(3)]
        assert bodies[0]
        assert bodies[0].body["value"] == TAKEN_ON
        assert bodies[1:] == bodies[:1] * 2, f"killed at call {at}"
        assert len(channel.started) == 1
        await channel.follow_up()
        assert channel.services.connector.said == [COUNTED]
    else:
        pytest.fail("the turn makes more calls than were tried")
