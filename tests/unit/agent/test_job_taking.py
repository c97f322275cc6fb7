"""A turn tells its user in time: what came of the job where that is ready, else that it was taken on."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.follow_up import FollowUp, send
from agent.incoming import parse_incoming
from agent.jobs import catalog, running
from agent.jobs.definition import Composing, Done, Failed, Job, Outcome, Waiting
from agent.ports import ChannelBusy, ChannelRefused, DeliveryAmbiguous, Services
from agent.told_in_turn import REDELIVERY_TAKES
from agent.turn_budget import TurnBudget, budget_of
from agent.turn_claim import CLAIM_HOLDS, TurnInProgress
from agent.turn_replies import TurnReplies
from agent.turn_trouble import SORRY
from tests.unit.turns import Channel, incoming_activity

ARRIVED = datetime(2026, 1, 1, 12, tzinfo=UTC)
TAKEN_ON = "I have begun to count."
COUNTED = "There are seven."


class Count:
    """A job that is done as soon as it has begun."""

    kind = "count"
    title = "Count"
    deadline = timedelta(minutes=5)
    outcome: Outcome = Done(tell=Answer(COUNTED))

    def recognises(self, text: str) -> bool:
        return text == "count"

    def acknowledgement(self, job: Job) -> Answer:
        return Answer(TAKEN_ON)

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return self.outcome

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return self.outcome

    def failure(self, job: Job) -> Answer:
        return Answer("I cannot count.")


class CountAloud(Count):
    stop_cancels = True


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    monkeypatch.setattr(catalog, "JOBS", [Count()])
    return Channel()


def counting(**fields: Any) -> dict[str, Any]:
    return incoming_activity(text="count", **fields)


async def follow_up_of(channel: Channel) -> str:
    """What becomes of the first follow-up, as the job's orchestration sends it."""
    follow_up = FollowUp(job=channel.started[0], number=1, answer=Answer(COUNTED), is_unseen=True)
    return (await send(follow_up, services=channel.services)).outcome


async def test_a_result_that_is_ready_in_time_is_the_reply_and_is_not_told_again(channel: Channel) -> None:
    await channel.deliver(counting())
    assert channel.services.connector.said == [COUNTED]
    assert await follow_up_of(channel) == "sent"
    assert channel.services.connector.said == [COUNTED]


async def test_a_failure_that_is_ready_in_time_is_the_reply_too(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Count, "outcome", Failed(tell=Answer("There is nothing to count.")))
    await channel.deliver(counting())
    assert channel.services.connector.said == ["There is nothing to count."]


async def test_a_job_that_waits_is_acknowledged_at_once(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Count, "outcome", Waiting(state={}, check_in=timedelta(days=1)))
    began = channel.services.clock.now()
    await channel.deliver(counting())
    assert channel.services.connector.said == [TAKEN_ON]
    assert channel.services.clock.now() - began < timedelta(seconds=1)


async def test_an_answer_that_is_composed_in_time_is_the_reply(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing is streamed, what was begun is not what came of it."""
    monkeypatch.setattr(Count, "outcome", Composing())
    clock, sleep = channel.services.clock, channel.services.clock.sleep

    async def composed_meanwhile(seconds: float) -> None:
        await sleep(seconds)
        job = channel.started[0]
        await running.note(job, Done(tell=Answer(COUNTED)), services=channel.services)

    clock.sleep = composed_meanwhile  # type: ignore[method-assign]
    await channel.deliver(counting())
    assert channel.services.connector.said == [COUNTED]


async def test_a_job_that_takes_long_to_begin_is_acknowledged_before_the_budget_ends(
    channel: Channel,
) -> None:
    channel.begins = False
    began = channel.services.clock.now()
    await channel.deliver(counting())
    lasted = channel.services.clock.now() - began
    assert timedelta(seconds=8) < lasted < channel.services.turn_budget
    typed = [call for call in channel.services.connector.calls if (call.body or {}).get("type") == "typing"]
    assert len(typed) == 1
    assert channel.services.connector.said == [TAKEN_ON]


@pytest.mark.parametrize("first_look_takes", [0.0, 0.1, 0.3, 0.49])
async def test_the_last_look_at_the_board_is_not_later_than_the_result_is_waited_for(
    channel: Channel, first_look_takes: float
) -> None:
    channel.begins = False
    clock, began = channel.services.clock, channel.services.clock.now()
    find, looked = channel.services.job_board.find, []

    async def noted(*what: Any) -> Any:
        looked.append((clock.now() - began).total_seconds())
        if len(looked) == 1:
            clock.step(timedelta(seconds=first_look_takes))
        return await find(*what)

    channel.services.job_board.find = noted  # type: ignore[method-assign,assignment]
    await channel.deliver(counting())
    assert looked[-1] == pytest.approx(9)


async def test_the_first_follow_up_does_not_overtake_the_acknowledgement(channel: Channel) -> None:
    channel.begins = False
    claims, clock = channel.services.turn_claims, channel.services.clock
    write = claims.write

    async def die(claim: Any) -> Any:
        if claim.state == "acknowledged":
            raise ConnectionError("the process dies here")
        return await write(claim)

    claims.write = die  # type: ignore[method-assign]
    await channel.deliver(counting())
    claims.write = write  # type: ignore[method-assign]
    assert await follow_up_of(channel) == "busy"
    claim = await claims.read(channel.started[0].job_id)
    assert claim is not None
    clock.step(claim.claimed_at + CLAIM_HOLDS - clock.now())
    assert await follow_up_of(channel) == "busy", "a redelivery that waits for the claim acknowledges first"
    clock.step(REDELIVERY_TAKES)
    assert await follow_up_of(channel) == "sent"
    assert channel.services.connector.said == [TAKEN_ON, COUNTED]


async def test_what_its_orchestration_told_already_is_not_acknowledged_any_more(channel: Channel) -> None:
    """A delivery that goes on with a dead one's turn comes late."""
    _, incoming = parse_incoming(json.dumps(counting()).encode())
    claimed_at = channel.services.clock.now()
    await channel.services.turn_claims.insert(incoming.turn_key, at=claimed_at)
    channel.services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
    start_job = channel._start_job

    async def start_and_tell(job: Job, *, may_exist: bool) -> None:
        await start_job(job, may_exist=may_exist)
        await channel.services.conversations.heard(job.requested_by, at=claimed_at)
        channel.services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
        assert await follow_up_of(channel) == "sent"

    channel._start_job = start_and_tell  # type: ignore[method-assign]
    await channel.deliver(counting())
    assert channel.services.connector.said == [COUNTED]


async def test_a_result_that_the_channel_refused_is_left_to_the_orchestration(channel: Channel) -> None:
    channel.services.connector.errors.append(ChannelRefused("the channel answered 400 BadArgument"))
    with pytest.raises(ChannelRefused):
        await channel.deliver(counting())
    channel.services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
    assert await follow_up_of(channel) == "sent"


async def test_a_result_that_may_have_arrived_stays_the_turns_until_that_is_too_old(channel: Channel) -> None:
    channel.services.connector.errors.append(DeliveryAmbiguous("no answer"))
    with pytest.raises(DeliveryAmbiguous):
        await channel.deliver(counting())
    record = await channel.services.ledger.read(f"{channel.started[0].job_id}.1")
    assert record
    assert record.state == "sending"


async def test_a_user_who_has_read_a_part_of_the_result_is_told_of_no_trouble(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = channel.services
    services.delivery_options = msgspec.structs.replace(services.delivery_options, max_activity_bytes=1500)
    long = "a" * 900 + "\n\n" + "b" * 900
    monkeypatch.setattr(Count, "outcome", Done(tell=Answer(long)))

    async def broken(claim: Any) -> Any:
        raise ConnectionError("the table is away")

    services.turn_claims.write = broken  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await channel.deliver(counting())
    (part,) = services.connector.said
    assert long.startswith(part)


async def test_a_result_that_was_not_even_tried_to_tell_is_told_whatever_ambiguous_sends_is(
    channel: Channel,
) -> None:
    """The turn finds that it may not speak any more, after it claimed to tell the result."""
    services = channel.services
    services.delivery_options = msgspec.structs.replace(services.delivery_options, ambiguous_sends="hold")
    insert = services.ledger.insert

    async def taken_over(record: Any) -> Any:
        inserted = await insert(record)
        services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
        claim = await services.turn_claims.read(channel.started[0].job_id)
        assert claim
        await services.turn_claims.take_over(claim, at=services.clock.now())
        return inserted

    services.ledger.insert = taken_over  # type: ignore[method-assign]
    with pytest.raises(TurnInProgress):
        await channel.deliver(counting())
    services.ledger.insert = insert  # type: ignore[method-assign]
    services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
    assert await follow_up_of(channel) == "sent"
    assert services.connector.said == [COUNTED]


async def test_a_result_that_the_orchestration_sends_just_now_is_not_told_by_a_late_delivery_too(
    channel: Channel,
) -> None:
    services = channel.services
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=9)))
    with pytest.raises(ChannelBusy):
        await channel.deliver(counting())
    services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
    post = services.connector.send

    async def redelivered_meanwhile(*what: Any, **how: Any) -> Any:
        services.connector.send = post  # type: ignore[method-assign]
        await channel.deliver(counting())
        return await post(*what, **how)

    services.connector.send = redelivered_meanwhile  # type: ignore[method-assign]
    assert await follow_up_of(channel) == "sent"
    assert services.connector.said == [COUNTED]


async def test_a_waiting_turn_keeps_its_claim(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    channel.begins = False
    taken: list[timedelta] = []
    claims, began = channel.services.turn_claims, channel.services.clock.now()
    take_over = claims.take_over

    async def noted(claim: Any, *, at: datetime) -> Any:
        taken.append(at - began)
        return await take_over(claim, at=at)

    claims.take_over = noted  # type: ignore[method-assign]
    await channel.deliver(counting())
    ages = [later - earlier for earlier, later in zip([timedelta(0), *taken], taken, strict=False)]
    assert ages
    assert max(ages) < CLAIM_HOLDS / 2


async def test_a_turn_that_another_took_over_while_it_waited_says_nothing(channel: Channel) -> None:
    channel.begins = False
    claims, clock = channel.services.turn_claims, channel.services.clock
    start_job = channel._start_job

    async def taken_over(job: Job, *, may_exist: bool) -> None:
        await start_job(job, may_exist=may_exist)
        claim = await claims.read(job.job_id)
        assert claim
        await claims.take_over(claim, at=clock.now())

    channel._start_job = taken_over  # type: ignore[method-assign]
    with pytest.raises(TurnInProgress):
        await channel.deliver(counting())
    assert channel.services.connector.said == []


async def test_a_board_that_is_out_of_order_holds_up_no_acknowledgement(channel: Channel) -> None:
    channel.begins = False

    async def broken(*_: Any, **__: Any) -> Any:
        raise ConnectionError("the table is away")

    channel.services.job_board.insert = broken  # type: ignore[method-assign]
    await channel.deliver(counting())
    assert channel.services.connector.said == [TAKEN_ON]


async def test_a_user_whose_job_could_not_be_stored_is_told_so_once(channel: Channel) -> None:
    async def broken(*_: Any, **__: Any) -> None:
        raise ConnectionError("the task hub is away")

    channel._start_job = broken  # type: ignore[method-assign]
    for _ in range(2):
        with pytest.raises(ConnectionError):
            await channel.deliver(counting())
    assert channel.services.connector.said == [SORRY.text]


async def test_a_task_hub_that_hangs_is_told_to_the_user_within_the_budget(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the machine's own time, and with a budget of little."""
    channel.services.turn_budget = timedelta(0)
    monkeypatch.setattr("agent.turn_budget.SHORTEST", timedelta(seconds=1.1))

    async def hang(*_: Any, **__: Any) -> None:
        await asyncio.Event().wait()

    channel._start_job = hang  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        await channel.deliver(counting())
    assert channel.services.connector.said == [SORRY.text]


async def test_an_answered_turn_is_answered_although_it_could_not_be_noted(channel: Channel) -> None:
    async def broken(claim: Any) -> Any:
        raise ConnectionError("the table is away")

    channel.services.turn_claims.write = broken  # type: ignore[method-assign]
    assert await channel.deliver(counting()) is None
    assert channel.services.connector.said == [COUNTED]


class TestHowItIsShown:
    """The acknowledgement is the beginning of how the channel can show that the job runs."""

    @pytest.fixture(autouse=True)
    def slow(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Count, "outcome", Waiting(state={}, check_in=timedelta(days=1)))

    async def view_kinds(self, channel: Channel) -> tuple[str | None, str | None]:
        claim = await channel.services.turn_claims.read(channel.started[0].job_id)
        assert claim
        return channel.started[0].shown_as, claim.opened_view.kind if claim.opened_view else None

    async def test_in_teams_by_a_card(self, channel: Channel) -> None:
        await channel.deliver(counting())
        (said,) = channel.said()
        assert "text" not in said, "Teams tells no id of a text with a card"
        assert said["summary"] == TAKEN_ON
        card = said["attachments"][0]["content"]
        assert card["actions"][0]["data"] == {"cancel": channel.started[0].job_id}
        assert await self.view_kinds(channel) == ("card", "card")

    @pytest.mark.parametrize(
        "fields", [{"channelId": "webchat"}, {"channelData": {"productContext": "COPILOT"}}]
    )
    async def test_elsewhere_by_messages(self, channel: Channel, fields: dict[str, Any]) -> None:
        await channel.deliver(counting(**fields))
        (said,) = channel.said()
        assert said["text"] == TAKEN_ON
        assert await self.view_kinds(channel) == ("messages", None)

    async def test_a_turn_that_is_answered_in_its_response_opens_nothing(self, channel: Channel) -> None:
        response = await channel.deliver(counting(deliveryMode="expectReplies"))
        assert response
        assert response.body["activities"][0]["text"] == TAKEN_ON
        assert await self.view_kinds(channel) == ("messages", None)

    async def test_what_is_streamed_by_the_first_update_of_a_stream(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        await channel.deliver(counting())
        (call,) = channel.services.connector.calls
        assert call.body == {
            "type": "typing",
            "text": TAKEN_ON,
            "entities": [{"type": "streaminfo", "streamType": "informative", "streamSequence": 1}],
        }
        assert await self.view_kinds(channel) == ("stream", "stream")

    async def test_the_pace_of_a_stream_is_counted_from_the_answer_to_its_first_update(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        clock, send = channel.services.clock, channel.services.connector.send

        async def slowly(*given: Any, **named: Any) -> Any:
            clock.step(timedelta(seconds=1.5))
            return await send(*given, **named)

        monkeypatch.setattr(channel.services.connector, "send", slowly)
        await channel.deliver(counting())
        claim = await channel.services.turn_claims.read(channel.started[0].job_id)
        assert claim
        assert claim.opened_view
        assert claim.opened_view.shown_at == clock.now()
        assert claim.opened_view.opened_at == clock.now() - timedelta(seconds=1.5)

    async def test_not_in_a_group_chat(self, channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        await channel.deliver(counting(conversation={"id": "19:group", "conversationType": "groupChat"}))
        assert await self.view_kinds(channel) == ("card", "card")

    async def test_where_the_channel_refuses_the_stream_it_is_said_instead(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        channel.services.connector.errors.append(ChannelRefused("the channel answered 405 BadArgument"))
        await channel.deliver(counting())
        assert channel.services.connector.said == [TAKEN_ON]
        assert await self.view_kinds(channel) == ("stream", None)
        await channel.deliver(counting())
        assert channel.services.connector.said == [TAKEN_ON]

    async def test_where_the_channel_was_busy_after_it_refused_the_stream_the_next_delivery_says_it(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        busy = ChannelBusy("429", retry_after=timedelta(seconds=9))
        channel.services.connector.errors += [ChannelRefused("the channel answered 405 BadArgument"), busy]
        with pytest.raises(ChannelBusy):
            await channel.deliver(counting())
        await channel.deliver(counting())
        assert channel.services.connector.said == [TAKEN_ON]

    async def test_a_result_that_comes_first_ends_the_stream(
        self, channel: Channel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(catalog, "JOBS", [CountAloud()])
        await channel.deliver(counting())
        assert await follow_up_of(channel) == "sent"
        final = channel.services.connector.calls[-1].body or {}
        (info,) = final["entities"]
        assert (final["text"], info["streamType"], info["streamId"]) == (COUNTED, "final", "sent-1")


@pytest.mark.parametrize(
    ("timestamp", "by", "ends"),
    [
        ("2026-01-01T12:00:00Z", 10, 13),
        ("2026-01-01T11:59:56.5Z", 6.5, 9.5),
        ("2026-01-01T13:59:57+02:00", 7, 10),
        ("2026-01-01T11:00:00Z", 3, 14),  # delivered again
        ("2026-01-01T12:00:07Z", 10, 13),  # its clock is ahead
        ("2026-01-01T11:59:58", 8, 11),
        ("yesterday", 10, 13),
        (17, 10, 13),
        (None, 10, 13),
    ],
)
def test_the_budget_counts_from_the_time_that_the_channel_put_on_the_activity(
    timestamp: Any, by: float, ends: float
) -> None:
    _, incoming = parse_incoming(json.dumps(counting(timestamp=timestamp)).encode())
    budget = budget_of(incoming, arrived=ARRIVED, lasts=timedelta(seconds=10))
    assert budget.acknowledge_by - ARRIVED == timedelta(seconds=by)
    assert budget.ends_at - ARRIVED == timedelta(seconds=ends)


@pytest.mark.parametrize(
    ("fields", "speaks_by"),
    [
        ({"timestamp": "2026-01-01T12:00:00Z"}, 9.5),
        ({"timestamp": "2026-01-01T11:59:53.5Z"}, 3),
        ({"timestamp": "2026-01-01T11:59:00Z"}, 6),  # or the channel's clock is a minute behind
        ({"timestamp": "2026-01-01T12:01:00Z"}, 9.5),
        ({"type": "invoke"}, 13),
    ],
)
def test_who_can_be_told_of_trouble_is_told_before_the_budget_ends(
    fields: dict[str, Any], speaks_by: float
) -> None:
    _, incoming = parse_incoming(json.dumps(counting(**fields)).encode())
    budget = budget_of(incoming, arrived=ARRIVED, lasts=timedelta(seconds=10))
    assert budget.speaks_by - ARRIVED == timedelta(seconds=speaks_by)


def test_no_budget_lasts_longer_than_the_channel_waits() -> None:
    _, incoming = parse_incoming(json.dumps(counting()).encode())
    budget = budget_of(incoming, arrived=ARRIVED, lasts=timedelta(seconds=12))
    assert budget.ends_at - ARRIVED == timedelta(seconds=14)


async def test_a_turn_that_goes_on_with_a_dead_ones_has_the_channels_whole_time(
    channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the channel delivers again has an old timestamp, and must wait until the claim is dead."""
    clock = channel.services.clock
    old = clock.now() - timedelta(seconds=7)
    activity = counting(timestamp=old.isoformat())
    _, incoming = parse_incoming(json.dumps(activity).encode())
    await channel.services.turn_claims.insert(incoming.turn_key, at=clock.now())
    budgets: list[TurnBudget] = []
    made = TurnReplies.__init__

    def noted(self: TurnReplies, *what: Any, budget: TurnBudget, **how: Any) -> None:
        budgets.append(budget)
        made(self, *what, budget=budget, **how)

    monkeypatch.setattr(TurnReplies, "__init__", noted)
    arrived = clock.now()
    await channel.deliver(activity)
    assert clock.now() - arrived < timedelta(seconds=11)
    assert budgets[0].ends_at - arrived == timedelta(seconds=14)
    assert channel.services.connector.said == [COUNTED]
