"""A step that breaks is tried anew after ever longer pauses; a job that breaks is told, and kept."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer
from agent.card_lint import findings
from agent.delivery_record import DeliveryRecord
from agent.job_entry import JobEntry, owner_key
from agent.jobs.definition import Done, Failed, Job, Outcome, Waiting
from agent.ports import ChannelBusy, ChannelRefused, Services
from orchestrators.steps import MOST_WAITS_TO_TELL
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration
from tests.unit.orchestrators.test_follow_up import (
    CHAT,
    SORRY,
    Scripted,
    failing,
    in_catalog,
    orchestration,
    said,
)

PAUSES = [5, 10, 20, 40, 80, 160, 300]
SECRET = "what the user said"
BROKEN = "the order service is down"


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


def a_run(
    services: InMemoryServices, *, cancelled_after: float | None = None, **how: Any
) -> SteppedOrchestration:
    """An orchestration of a job as it is begun today."""
    events = None
    if cancelled_after is not None:
        events = {"cancel": services.clock.now() + timedelta(seconds=cancelled_after)}
    return orchestration(services, version=2, events=events, **how)


async def kept(services: InMemoryServices) -> DeliveryRecord:
    record = await services.ledger.read("job-1")
    assert record is not None
    return record


async def entry(services: InMemoryServices) -> JobEntry:
    (found,) = await services.job_board.of_owner(owner_key(CHAT), at_most=5)
    return found


def buttons(services: InMemoryServices) -> list[Any]:
    """The data of the buttons of what was told last."""
    body = services.connector.calls[-1].body or {}
    (attachment,) = body["attachments"]
    assert findings(attachment["content"]) == []
    return [action["data"] for action in attachment["content"]["actions"]]


def breaks(services: InMemoryServices, step: str, times: int) -> None:
    """Have what the step of an order needs raise so often."""
    if step == "begin":
        services.orders.place = failing(times, services.orders.place)  # type: ignore[method-assign]
    else:
        services.job_reports.of = failing(times, services.job_reports.of)  # type: ignore[method-assign]


class Breaking(Scripted):
    """A job whose begin always raises, in words that quote its user."""

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        raise ValueError(SECRET)


@pytest.mark.parametrize("step", ["begin", "check"])
async def test_the_pauses_between_the_tries_of_a_step_double_up_to_five_minutes(
    services: InMemoryServices, step: str
) -> None:
    breaks(services, step, len(PAUSES))
    started = services.clock.now()
    services.orders._deliver_after = timedelta(hours=1)
    run = a_run(services)
    assert (await run.run())["outcome"] == "done"
    shown = [status for status in run.statuses if "tries" in status]
    assert [status["tries"] for status in shown] == [1, 2, 3, 4, 5, 6, 7]
    assert {status["step"] for status in shown} == {"beginning" if step == "begin" else "checking"}
    first = started + timedelta(seconds=0 if step == "begin" else 10)
    until = [first + timedelta(seconds=sum(PAUSES[: number + 1])) for number in range(len(PAUSES))]
    assert [status["until"] for status in shown] == [moment.isoformat() for moment in until]


@pytest.mark.parametrize("step", ["begin", "check"])
async def test_a_step_that_breaks_eight_times_breaks_the_job(services: InMemoryServices, step: str) -> None:
    breaks(services, step, 8)
    run = a_run(services)
    with pytest.raises(Exception, match=BROKEN):
        await run.run()
    assert said(services) == [SORRY]
    assert buttons(services) == [{"again": "job-1"}]
    record = await kept(services)
    assert (record.state, record.attempts) == ("failed", 1)
    assert record.reason == f"{step}: ConnectionError"
    job = msgspec.json.decode(record.body, type=Job)
    assert (job.job_id, job.request, job.requested_by) == ("job-1", "what was asked for", CHAT)
    ended = await entry(services)
    assert (ended.state, ended.reason) == ("failed", record.reason)
    assert run.statuses[-1] == {"step": "failed"}


async def test_a_definition_may_be_tried_less_often(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Impatient(Breaking):
        tries = 2

    in_catalog(monkeypatch, Impatient(Done(tell=Answer("done"))))
    started = services.clock.now()
    with pytest.raises(Exception, match=SECRET):
        await a_run(services, kind="scripted").run()
    assert services.clock.now() - started == timedelta(seconds=5)
    assert said(services) == ["it failed"]


async def test_no_try_is_beyond_the_deadline(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Breaking(Done(tell=Answer("done")))
    job.deadline = timedelta(minutes=1)
    in_catalog(monkeypatch, job)
    started = services.clock.now()
    with pytest.raises(Exception, match=SECRET):
        await a_run(services, kind="scripted").run()
    assert services.clock.now() - started == timedelta(seconds=5 + 10 + 20)
    assert said(services) == ["it failed"]


async def test_no_word_of_the_user_is_kept_as_the_reason(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Breaking(Done(tell=Answer("done"))))
    with pytest.raises(Exception, match=SECRET):
        await a_run(services, kind="scripted").run()
    assert (await kept(services)).reason == (await entry(services)).reason == "begin: ValueError"


async def test_our_own_words_are_kept_as_the_reason(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused(Scripted):
        async def begin(self, job: Job, *, services: Services) -> Outcome:
            raise ChannelRefused("the channel answered 400")

    in_catalog(monkeypatch, Refused(Done(tell=Answer("done"))))
    with pytest.raises(Exception, match="400"):
        await a_run(services, kind="scripted").run()
    assert (await kept(services)).reason == "begin: ChannelRefused: the channel answered 400"


async def test_a_step_that_succeeds_in_the_end_leaves_no_reason(services: InMemoryServices) -> None:
    seen: list[tuple[bool, str]] = []
    put = services.job_board.put

    async def watched(entry: JobEntry) -> None:
        seen.append((entry.has_begun, entry.reason))
        await put(entry)

    services.job_board.put = watched  # type: ignore[method-assign]
    services.orders.place = failing(1, services.orders.place)  # type: ignore[method-assign]
    await a_run(services).run()
    assert seen == [(False, "begin: ConnectionError"), (True, ""), (True, ""), (True, "")]
    assert await services.ledger.read("job-1") is None


async def test_a_job_past_its_deadline_is_told_once_with_its_button_and_is_in_the_ledger(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(hours=5))))
    assert await a_run(services, kind="scripted").run() == {"outcome": "failed", "told": 1}
    assert said(services) == ["it failed"]
    assert buttons(services) == [{"again": "job-1"}]
    assert (await kept(services)).reason == "it was not done by its deadline"


async def test_a_failure_that_was_foreseen_has_the_button_where_it_says_so_and_is_not_in_the_ledger(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = {"type": "AdaptiveCard", "fallbackText": "sold out", "actions": [{"data": {"job": "other"}}]}
    outcomes = [
        Failed(tell=Answer("sold out"), may_try_again=True),
        Failed(tell=Answer(card=card), may_try_again=True),
    ]
    shown = []
    for number, outcome in enumerate(outcomes):
        in_catalog(monkeypatch, Scripted(outcome))
        services.ledger = type(services.ledger)()
        assert (await a_run(services, kind="scripted").run())["outcome"] == "failed"
        assert said(services)[number] == "sold out"
        assert await services.ledger.read("job-1") is None
        answer = (await entry(services)).answer
        assert answer is not None
        assert answer.card is not None
        shown.append([action["data"] for action in answer.card["actions"]])
    assert shown == [[{"again": "job-1"}], [{"job": "other"}, {"again": "job-1"}]]


async def test_a_broken_job_is_in_the_ledger_and_on_the_board_before_its_user_is_told(
    services: InMemoryServices,
) -> None:
    services.orders.place = failing(8, services.orders.place)  # type: ignore[method-assign]
    busy = ChannelBusy("the channel cannot be reached", retry_after=timedelta(seconds=5))
    services.connector.errors.extend([busy] * 2 * MOST_WAITS_TO_TELL)
    with pytest.raises(Exception, match=BROKEN):
        await a_run(services).run()
    record, told = await kept(services), await services.ledger.read("job-1.1")
    assert told is not None
    assert (record.state, told.state) == ("failed", "failed")
    assert record.updated_at < told.updated_at
    assert (await entry(services)).updated_at == record.updated_at


async def test_the_row_of_a_broken_job_is_not_written_over(services: InMemoryServices) -> None:
    there = DeliveryRecord(delivery_id="job-1", state="failed", updated_at=services.clock.now(), attempts=2)
    await services.ledger.insert(there)
    services.orders.place = failing(8, services.orders.place)  # type: ignore[method-assign]
    with pytest.raises(Exception, match=BROKEN):
        await a_run(services).run()
    assert (await kept(services)).attempts == 2


async def test_a_request_too_large_for_a_row_leaves_the_reason_at_least(services: InMemoryServices) -> None:
    services.orders.place = failing(8, services.orders.place)  # type: ignore[method-assign]
    run = a_run(services)
    run._given["job"]["request"] = {"job": "order_laptop", "note": "x" * 70_000}
    with pytest.raises(Exception, match=BROKEN):
        await run.run()
    record = await kept(services)
    assert (record.reason, record.body) == (
        "begin: ConnectionError; its request is too large to be kept",
        b"",
    )


class Stuck(Scripted):
    """A job whose begin, or check, always raises; ``cancel_breaks`` as often."""

    def __init__(self, *, at: str, cancel_breaks: int = 0) -> None:
        super().__init__(Waiting(state={"begun": True}, check_in=timedelta(seconds=10)))
        self._at = at
        self._cancel_breaks = cancel_breaks

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        if self._at == "begin":
            raise ConnectionError(BROKEN)
        return await super().begin(job, services=services)

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        raise ConnectionError(BROKEN)

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer | Done:
        self._cancel_breaks -= 1
        if self._cancel_breaks >= 0:
            raise ConnectionError("it cannot be undone")
        return Answer(f"undone {state}")


@pytest.mark.parametrize(("at", "undone"), [("begin", "undone {}"), ("check", "undone {'begun': True}")])
async def test_a_cancel_while_a_step_backs_off_is_heeded_at_once(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch, at: str, undone: str
) -> None:
    in_catalog(monkeypatch, Stuck(at=at))
    started = services.clock.now()
    run = a_run(services, kind="scripted", cancelled_after=33)
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert services.clock.now() - started == timedelta(seconds=33)
    assert said(services) == [undone]
    assert run.timers[-1].is_cancelled
    assert (await entry(services)).state == "cancelled"
    assert await services.ledger.read("job-1") is None


async def test_an_order_that_could_not_be_placed_is_cancelled_all_the_same(
    services: InMemoryServices,
) -> None:
    services.orders.place = failing(8, services.orders.place)  # type: ignore[method-assign]
    assert await a_run(services, cancelled_after=33).run() == {"outcome": "cancelled", "told": 1}
    assert said(services) == ["I have cancelled your order. It had not been placed yet."]


@pytest.mark.parametrize(("failures", "outcome"), [(7, "cancelled"), (8, None)])
async def test_a_cancel_is_tried_as_often_as_any_step_and_then_the_job_goes_on(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch, failures: int, outcome: str | None
) -> None:
    in_catalog(monkeypatch, Stuck(at="check", cancel_breaks=failures))
    started = services.clock.now()
    run = a_run(services, kind="scripted", cancelled_after=3)
    if outcome:
        assert (await run.run())["outcome"] == outcome
        assert services.clock.now() - started == timedelta(seconds=3 + sum(PAUSES))
        assert said(services) == ["undone {'begun': True}"]
    else:
        with pytest.raises(Exception, match=BROKEN):  # of its check, which comes next
            await run.run()
        sorry, failed = said(services)
        assert sorry.startswith("I am sorry, I could not cancel: Scripted.")
        assert failed == "it failed"
        assert run.executions == 2


async def test_a_step_that_is_begun_again_after_a_cancel_that_failed_may_succeed(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Stuck(at="begin", cancel_breaks=100)
    in_catalog(monkeypatch, job)
    run = a_run(services, kind="scripted", cancelled_after=3)
    cancelling = job.cancel

    async def mended(*arguments: Any, **keywords: Any) -> Any:
        job._at = "nowhere"
        monkeypatch.setattr(job, "_outcomes", [Done(tell=Answer("done"))])
        return await cancelling(*arguments, **keywords)

    monkeypatch.setattr(job, "cancel", mended)
    assert await run.run() == {"outcome": "done", "told": 2}
    assert said(services)[1] == "done"
