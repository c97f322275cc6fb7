"""A job is begun, waited out, checked and followed up, whatever happens on the way."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent import follow_up as follow_ups
from agent.answer import Answer, Citation
from agent.conversation import Conversation
from agent.delivery_record import DeliveryRecord
from agent.jobs import catalog, running
from agent.jobs.catalog import with_terms
from agent.jobs.definition import Done, Failed, Job, Outcome, Waiting
from agent.ports import ChannelBusy, ChannelRefused, ConversationGone, SendPaced, Services
from agent.task_hub import from_task_hub, to_task_hub
from orchestrators.follow_up import follow_up
from orchestrators.following import CHECKS_AN_EXECUTION, Following
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration
from tests.unit.turns import TENANT, USER

CHAT = Conversation(
    channel_id="msteams",
    conversation_id="a:chat",
    service_url="https://smba.example/amer/",
    conversation_type="personal",
    tenant_id=TENANT,
    aad_object_id=USER,
)
PLACED = "Great! I have successfully placed your order #1292. I'll notify you when it's delivered."
SORRY = "I am sorry, your laptop could not be ordered. Please say 'order a laptop' to try again."


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


def said(services: InMemoryServices) -> list[str]:
    """What was told, a card by what stands for it in a list of chats."""
    bodies = [call.body or {} for call in services.connector.calls if call.method == "send"]
    return [str(body.get("text") or body.get("summary", "")) for body in bodies]


def orchestration(
    services: InMemoryServices,
    *,
    kind: str = "order_laptop",
    events: dict[str, datetime] | None = None,
    version: int = 1,
) -> SteppedOrchestration:
    job = Job(
        version=version,
        job_id="job-1",
        kind=kind,
        requested_at=services.clock.now(),
        requested_by=CHAT,
        request="what was asked for",
    )

    async def begin_job(given: Any) -> Any:
        return to_task_hub(await running.begin(from_task_hub(given, Job), services=services))

    async def check_job(given: Any) -> Any:
        return to_task_hub(await running.check(from_task_hub(given, running.Check), services=services))

    async def cancel_job(given: Any) -> Any:
        return to_task_hub(await running.cancel(from_task_hub(given, running.Check), services=services))

    async def note_broken_job(given: Any) -> Any:
        await running.note_failure(from_task_hub(given, Job), services=services)

    async def send_follow_up(given: Any) -> Any:
        sent = await follow_ups.send(from_task_hub(given, follow_ups.FollowUp), services=services)
        return to_task_hub(sent)

    async def give_up_follow_up(given: Any) -> Any:
        sent = await follow_ups.give_up(from_task_hub(given, follow_ups.FollowUp), services=services)
        return to_task_hub(sent)

    steps = (begin_job, check_job, cancel_job, note_broken_job, send_follow_up, give_up_follow_up)
    return SteppedOrchestration(
        follow_up,
        to_task_hub(Following(job=with_terms(job) if version >= 2 else job)),
        activities={step.__name__: step for step in steps},
        clock=services.clock,
        events=events,
    )


async def test_an_order_is_followed_up_when_it_is_placed_and_when_it_is_delivered(
    services: InMemoryServices,
) -> None:
    started = services.clock.now()
    run = orchestration(services)
    assert await run.run() == {"outcome": "done", "told": 2}
    placed, delivered = services.connector.calls
    assert placed.body == {"type": "message", "text": PLACED}
    assert delivered.body is not None
    card = delivered.body["attachments"][0]["content"]
    assert {"title": "Order", "value": "#1292"} in card["body"][1]["facts"]
    assert services.clock.now() - started == timedelta(seconds=30)
    assert (placed.conversation_id, placed.service_url) == (CHAT.conversation_id, CHAT.service_url)


async def test_custom_status_says_where_the_job_is(services: InMemoryServices) -> None:
    run = orchestration(services)
    await run.run()
    steps = [status["step"] for status in run.statuses]
    assert steps == ["beginning", "waiting", "checking", "telling", "waiting", "checking", "telling", "ended"]


async def test_the_event_completed_ends_the_wait_and_its_timer(services: InMemoryServices) -> None:
    completed_at = services.clock.now() + timedelta(seconds=3)

    run = orchestration(services, events={"completed": completed_at})
    place = services.orders.place

    async def place_and_deliver(order_id: str, *, item: str, customer: Conversation) -> Any:
        order = await place(order_id, item=item, customer=customer)
        await services.orders.mark_delivered(order_id)
        return order

    services.orders.place = place_and_deliver  # type: ignore[method-assign]
    assert await run.run() == {"outcome": "done", "told": 1}
    assert services.clock.now() == completed_at
    assert [timer.is_cancelled for timer in run.timers] == [True]


async def test_an_event_that_reports_nothing_only_wakes(services: InMemoryServices) -> None:
    run = orchestration(services, events={"completed": services.clock.now() + timedelta(seconds=3)})
    assert await run.run() == {"outcome": "done", "told": 2}
    assert [status["step"] for status in run.statuses].count("checking") == 3


def failing(times: int, then: Any) -> Any:
    """A call that raises ``times`` times, and is passed on ``then``."""
    left = [ConnectionError("the order service is down")] * times

    async def call(*arguments: Any, **keywords: Any) -> Any:
        if left:
            raise left.pop()
        return await then(*arguments, **keywords)

    return call


async def test_a_step_of_a_job_of_version_1_is_tried_five_times_ten_seconds_apart(
    services: InMemoryServices,
) -> None:
    started = services.clock.now()
    services.orders.place = failing(4, services.orders.place)  # type: ignore[method-assign]
    assert (await orchestration(services).run())["outcome"] == "done"
    assert services.clock.now() - started == timedelta(seconds=4 * 10 + 30)


async def test_a_step_of_a_job_of_version_1_that_fails_five_times_breaks_it(
    services: InMemoryServices,
) -> None:
    services.orders.get = failing(5, services.orders.get)  # type: ignore[method-assign]
    with pytest.raises(Exception, match="order service is down"):
        await orchestration(services).run()
    assert said(services) == [SORRY]


async def test_a_job_that_breaks_is_told_to_its_user_and_ends_as_failed(services: InMemoryServices) -> None:
    async def broken(order_id: str, *, item: str, customer: Conversation) -> Any:
        raise ConnectionError("the order service is down")

    services.orders.place = broken  # type: ignore[method-assign]
    run = orchestration(services)
    with pytest.raises(Exception, match="order service is down"):
        await run.run()
    assert said(services) == [SORRY]


async def test_a_busy_channel_is_waited_for_in_a_timer_for_as_long_as_it_says(
    services: InMemoryServices,
) -> None:
    started = services.clock.now()
    busy = ChannelBusy("the channel answered 429", retry_after=timedelta(seconds=7))
    services.connector.errors.append(busy)
    run = orchestration(services)
    assert await run.run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == [PLACED, ""]
    waited = run.timers[1].given - started - timedelta(seconds=10)
    assert timedelta(seconds=7) <= waited <= timedelta(seconds=9)


async def test_a_channel_that_is_down_for_long_does_not_stop_the_job(services: InMemoryServices) -> None:
    busy = ChannelBusy("the channel cannot be reached", retry_after=timedelta(seconds=5))
    services.connector.errors.extend([busy] * 60)
    assert await orchestration(services).run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == [""]
    given_up = await services.ledger.read("job-1.1")
    assert given_up is not None
    assert (given_up.state, given_up.reason) == ("failed", "ChannelBusy: the channel cannot be reached")
    assert PLACED.encode() in given_up.body


@pytest.mark.parametrize(("busy_for", "texts"), [(60, [PLACED, ""]), (120, [""])])
async def test_a_channel_that_is_busy_for_moments_only_is_waited_for_all_the_same_for_an_hour(
    services: InMemoryServices, busy_for: int, texts: list[str]
) -> None:
    started = services.clock.now()
    paced = SendPaced("the tenant's limit is used up", retry_after=timedelta(seconds=1))
    services.connector.errors.extend([paced] * busy_for)
    assert await orchestration(services, version=2).run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == texts
    is_given_up = PLACED not in texts
    assert (services.clock.now() - started > timedelta(hours=1)) == is_given_up


async def test_telling_that_breaks_is_tried_again_and_does_not_stop_the_job(
    services: InMemoryServices,
) -> None:
    services.ledger.insert = failing(7, services.ledger.insert)  # type: ignore[method-assign]
    assert await orchestration(services).run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == [PLACED, ""]


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        (ConversationGone("the channel answered 403"), []),
        (ChannelRefused("the channel answered 400"), [""]),
    ],
)
async def test_a_follow_up_that_is_not_taken_does_not_stop_the_job(
    services: InMemoryServices, error: Exception, texts: list[str]
) -> None:
    services.connector.errors.append(error)
    assert await orchestration(services).run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == texts


async def test_a_follow_up_that_another_process_is_sending_is_waited_for(services: InMemoryServices) -> None:
    now = services.clock.now() + timedelta(seconds=10)
    held = DeliveryRecord(delivery_id="job-1.1", state="sending", updated_at=now, attempts=1)
    await services.ledger.insert(held)
    assert await orchestration(services).run() == {"outcome": "done", "told": 2}
    assert services.connector.texts == [PLACED, ""]


class Scripted:
    """A job whose outcomes are given, begin's first."""

    kind = "scripted"
    title = "Scripted"
    deadline = timedelta(days=1)

    def __init__(self, *outcomes: Outcome) -> None:
        self._outcomes = list(outcomes)

    def recognises(self, text: str) -> bool:
        return False

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("begun")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return self._next()

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return self._next()

    def failure(self, job: Job) -> Answer:
        return Answer("it failed")

    def _next(self) -> Outcome:
        """The next outcome; the last one for ever."""
        return self._outcomes.pop(0) if len(self._outcomes) > 1 else self._outcomes[0]


def in_catalog(monkeypatch: pytest.MonkeyPatch, job: Scripted) -> None:
    monkeypatch.setattr(catalog, "JOBS", (job,))


async def test_a_failure_that_was_foreseen_is_told(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Failed(tell=Answer("out of stock"))))
    assert await orchestration(services, kind="scripted").run() == {"outcome": "failed", "told": 1}
    assert services.connector.texts == ["out of stock"]


async def test_what_a_job_tells_keeps_its_sources_and_that_it_was_generated(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = Answer(
        "Yes [1].", citations=(Citation(title="Guide", url="https://example.com"),), is_generated=True
    )
    in_catalog(monkeypatch, Scripted(Done(tell=generated)))
    await orchestration(services, kind="scripted").run()
    (sent,) = services.connector.calls
    assert sent.body == generated.to_activity()


async def test_a_job_whose_kind_was_taken_out_of_the_app_is_told_so(services: InMemoryServices) -> None:
    assert await orchestration(services, kind="make_coffee").run() == {"outcome": "failed", "told": 1}
    (text,) = services.connector.texts
    assert "can no longer" in text


async def test_a_job_that_takes_many_checks_starts_over_with_what_it_knows(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = Waiting(state={"n": 1}, check_in=timedelta(seconds=5), tell=Answer("still at it"))
    outcomes: list[Outcome] = [again] * (2 * CHECKS_AN_EXECUTION + 1)
    in_catalog(monkeypatch, Scripted(*outcomes, Done(tell=Answer("done"))))
    run = orchestration(services, kind="scripted")
    assert await run.run() == {"outcome": "done", "told": len(outcomes) + 1}
    assert run.executions == 3
    assert services.connector.texts == ["still at it"] * len(outcomes) + ["done"]


async def test_a_job_past_its_deadline_is_given_up_and_the_user_is_told(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(hours=5))))
    assert await orchestration(services, kind="scripted").run() == {"outcome": "failed", "told": 1}
    assert said(services) == ["it failed"]
    assert services.clock.now() > datetime(2026, 1, 2, 12, tzinfo=UTC)


async def test_no_two_checks_are_less_than_a_second_apart(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = Waiting(state={}, check_in=timedelta(0))
    in_catalog(monkeypatch, Scripted(at_once, at_once, Done(tell=Answer("done"))))
    started = services.clock.now()
    await orchestration(services, kind="scripted").run()
    assert services.clock.now() - started == timedelta(seconds=2)


async def test_a_wait_is_cut_into_timers_that_can_be_cancelled_and_ends_at_the_deadline(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Scripted(Waiting(state={}, check_in=timedelta(days=40)))
    job.deadline = timedelta(days=30)
    in_catalog(monkeypatch, job)
    started = services.clock.now()
    run = orchestration(services, kind="scripted")
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert timedelta(days=30) < services.clock.now() - started < timedelta(days=30, minutes=1)
    moments = [started, *(timer.given for timer in run.timers)]
    assert max(after - before for before, after in pairwise(moments)) == timedelta(days=5)
