"""A job is cancelled by its user, at whatever moment; and what its board says meanwhile."""

from datetime import timedelta
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer
from agent.job_entry import JobEntry, Progress, owner_key
from agent.job_report import JobReport
from agent.jobs.definition import Done, Failed, Job, Outcome, Waiting
from agent.ports import Services
from orchestrators.following import CHECKS_AN_EXECUTION
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration
from tests.unit.orchestrators.test_follow_up import (
    CHAT,
    PLACED,
    SORRY,
    Scripted,
    failing,
    in_catalog,
    orchestration,
    said,
)

CANCELLED = "I have cancelled your order #1292 (laptop)."


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


def cancelled_after(services: InMemoryServices, seconds: float, **kind: Any) -> SteppedOrchestration:
    at = services.clock.now() + timedelta(seconds=seconds)
    return orchestration(services, events={"cancel": at}, **kind)


async def entry(services: InMemoryServices) -> JobEntry:
    (found,) = await services.job_board.of_owner(owner_key(CHAT), at_most=5)
    return found


@pytest.mark.parametrize(("seconds", "before"), [(3, []), (12, [PLACED])])
async def test_a_cancel_ends_the_wait_at_once_and_the_order_with_it(
    services: InMemoryServices, seconds: float, before: list[str]
) -> None:
    started = services.clock.now()
    run = cancelled_after(services, seconds)
    assert await run.run() == {"outcome": "cancelled", "told": len(before) + 1}
    assert services.clock.now() - started == timedelta(seconds=seconds)
    assert run.timers[-1].is_cancelled
    assert services.connector.texts == [*before, CANCELLED]
    assert (await services.orders.get("job-1")).status == "cancelled"
    assert (await entry(services)).state == "cancelled"
    assert run.statuses[-1] == {"step": "cancelled"}


async def test_a_cancel_that_comes_while_the_job_is_begun_ends_it_afterwards(
    services: InMemoryServices,
) -> None:
    services.orders.place = failing(2, services.orders.place)  # type: ignore[method-assign]
    assert await cancelled_after(services, 0).run() == {"outcome": "cancelled", "told": 1}
    assert services.connector.texts == [CANCELLED]


async def test_a_cancel_that_comes_while_the_job_breaks_does_no_harm(services: InMemoryServices) -> None:
    services.orders.place = failing(5, services.orders.place)  # type: ignore[method-assign]
    with pytest.raises(Exception, match="order service is down"):
        await cancelled_after(services, 0).run()
    assert said(services) == [SORRY]


async def test_a_cancel_after_the_end_does_nothing(services: InMemoryServices) -> None:
    assert await cancelled_after(services, 3600).run() == {"outcome": "done", "told": 2}
    assert (await services.orders.get("job-1")).status == "delivered"
    assert (await entry(services)).state == "done"


async def test_a_cancel_that_meets_completed_ends_the_job_once(services: InMemoryServices) -> None:
    at = services.clock.now() + timedelta(seconds=3)
    run = orchestration(services, events={"completed": at, "cancel": at})
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert services.connector.texts == [CANCELLED]


async def test_a_cancel_that_is_too_late_says_so_and_the_job_is_done(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    cancel = services.orders.cancel

    async def delivered_meanwhile(order_id: str) -> Any:
        await services.orders.mark_delivered(order_id)
        return await cancel(order_id)

    monkeypatch.setattr(services.orders, "cancel", delivered_meanwhile)
    run = cancelled_after(services, 3)
    assert await run.run() == {"outcome": "done", "told": 1}
    (text,) = services.connector.texts
    assert text == "It is too late to cancel: your order #1292 was delivered meanwhile."
    assert (await entry(services)).state == "done"
    assert run.statuses[-1] == {"step": "ended"}


async def test_what_was_reported_as_delivered_is_not_cancelled(services: InMemoryServices) -> None:
    reported = JobReport(job_id="job-1", name="completed", reported_at=services.clock.now())
    await services.job_reports.put(reported)
    run = cancelled_after(services, 3)
    assert await run.run() == {"outcome": "done", "told": 1}
    assert "too late" in services.connector.texts[0]
    assert (await services.orders.get("job-1")).status == "delivered"


async def test_a_job_that_has_nothing_to_undo_is_cancelled_all_the_same(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(hours=1))))
    run = cancelled_after(services, 3, kind="scripted")
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert services.connector.texts == ["I have cancelled: Scripted."]


async def test_a_job_is_given_its_state_to_undo(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Undoable(Scripted):
        async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer:
            return Answer(f"undone {state['what']} of {job.job_id}")

    in_catalog(monkeypatch, Undoable(Waiting(state={"what": "it"}, check_in=timedelta(hours=1))))
    await cancelled_after(services, 3, kind="scripted").run()
    assert services.connector.texts == ["undone it of job-1"]


@pytest.mark.parametrize(("failures", "outcome"), [(4, "cancelled"), (5, "done")])
async def test_a_job_that_cannot_be_cancelled_after_five_tries_goes_on_and_its_user_is_told(
    services: InMemoryServices, failures: int, outcome: str
) -> None:
    services.orders.cancel = failing(failures, services.orders.cancel)  # type: ignore[method-assign]
    services.orders._deliver_after = timedelta(hours=1)
    run = cancelled_after(services, 3)
    assert (await run.run())["outcome"] == outcome
    first, *_ = services.connector.texts
    assert first.startswith(
        "I have cancelled" if outcome == "cancelled" else "I am sorry, I could not cancel: Order a laptop."
    )
    assert services.connector.texts[1:] == ([] if outcome == "cancelled" else [PLACED, ""])


async def test_a_job_that_has_started_over_is_cancelled_too(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(seconds=5))))
    run = cancelled_after(services, 5 * CHECKS_AN_EXECUTION + 3, kind="scripted")
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert run.executions == 2


async def test_an_order_that_the_shop_cancels_is_told_as_a_failure(services: InMemoryServices) -> None:
    run = orchestration(services)
    place = services.orders.place

    async def place_and_cancel(*arguments: Any, **keywords: Any) -> Any:
        order = await place(*arguments, **keywords)
        await services.orders.cancel(order.order_id)
        return order

    services.orders.place = place_and_cancel  # type: ignore[method-assign]
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert services.connector.texts == ["Your order #1292 was cancelled."]


async def test_progress_is_kept_on_the_board_and_in_the_custom_status(services: InMemoryServices) -> None:
    seen: list[tuple[str, str, int | None]] = []
    put = services.job_board.put

    async def watched(entry: JobEntry) -> None:
        seen.append((entry.state, entry.step, entry.percent))
        await put(entry)

    services.job_board.put = watched  # type: ignore[method-assign]
    run = orchestration(services)
    await run.run()
    taken, placed = "Order #1292 was taken and waits to be placed", "Order #1292 is placed and on its way"
    assert seen == [("running", taken, 10), ("running", placed, 50), ("done", "", None)]
    told = [status["progress"] for status in run.statuses if status["step"] == "waiting"]
    assert told == [{"step": taken, "percent": 10}, {"step": placed, "percent": 50}]
    shown = {status["step"]: status.get("progress", {}).get("percent") for status in run.statuses}
    assert shown == {"beginning": None, "waiting": 50, "checking": 50, "telling": None, "ended": None}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(Done(tell=Answer("done")), "done"), (Failed(tell=Answer("failed")), "failed")],
)
async def test_the_board_says_how_a_job_ended(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, state: str
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(seconds=5)), outcome))
    await orchestration(services, kind="scripted").run()
    ended = await entry(services)
    assert (ended.state, ended.title, ended.updated_at) == (state, "Scripted", services.clock.now())


async def test_a_job_that_breaks_is_failed_on_the_board(services: InMemoryServices) -> None:
    services.orders.get = failing(5, services.orders.get)  # type: ignore[method-assign]
    with pytest.raises(Exception, match="order service is down"):
        await orchestration(services).run()
    assert (await entry(services)).state == "failed"


async def test_a_board_that_breaks_as_well_hides_nothing(services: InMemoryServices) -> None:
    async def broken(entry: JobEntry) -> None:
        raise ConnectionError("no board")

    place = failing(5, services.orders.place)
    services.orders.place = place  # type: ignore[method-assign]
    services.job_board.put = broken  # type: ignore[method-assign]
    with pytest.raises(Exception, match="order service is down"):
        await orchestration(services).run()
    assert said(services) == [SORRY]


async def test_a_job_past_its_deadline_is_failed_on_the_board(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_catalog(monkeypatch, Scripted(Waiting(state={}, check_in=timedelta(hours=5))))
    await orchestration(services, kind="scripted").run()
    assert (await entry(services)).state == "failed"


@pytest.mark.parametrize(("told", "kept"), [(-3, 0), (0, 0), (73, 73), (101, 100), (None, None)])
def test_progress_out_of_range_is_brought_into_it(told: int | None, kept: int | None) -> None:
    progress = Progress(step="x" * 1000, percent=told)
    assert (progress.percent, len(progress.step)) == (kept, 200)
