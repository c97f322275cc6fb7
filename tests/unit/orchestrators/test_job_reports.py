"""What the outside world reports is found by the check, whether its event wakes the job or is lost."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent.callbacks import ReportName
from agent.conversation import Conversation
from agent.job_report import JobReport
from agent.jobs import catalog
from tests.unit.orchestrators.test_follow_up import CHAT, orchestration

SOON = timedelta(seconds=3)
JOBS_PAGE = Path(__file__).parents[3] / "docs" / "jobs.md"
EXAMPLE = re.compile(r"```python\n(.*?)```", re.DOTALL)


@pytest.fixture
async def services() -> InMemoryServices:
    """The order is placed after an hour and delivered a day later, as far as anybody knows."""
    services = InMemoryServices()
    services.orders = slow_orders(services)
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


def slow_orders(services: InMemoryServices) -> Any:
    kind = type(services.orders)
    return kind(clock=services.clock, confirm_after=timedelta(hours=1), deliver_after=timedelta(days=1))


def reported_at_begin(services: InMemoryServices) -> None:
    """It is reported as completed while the job begins."""
    place = services.orders.place

    async def place_and_report(order_id: str, *, item: str, customer: Conversation) -> Any:
        order = await place(order_id, item=item, customer=customer)
        now = services.clock.now()
        await services.job_reports.put(JobReport(job_id=order_id, name="completed", reported_at=now))
        return order

    services.orders.place = place_and_report  # type: ignore[method-assign]


async def test_what_is_reported_is_followed_up_at_once(services: InMemoryServices) -> None:
    started = services.clock.now()
    reported_at_begin(services)
    run = orchestration(services, events={"completed": started + SOON})
    assert await run.run() == {"outcome": "done", "told": 1}
    assert services.clock.now() == started + SOON
    order = await services.orders.get("job-1")
    assert (order.status, order.delivered_at) == ("delivered", started + SOON)


async def test_a_report_before_the_job_waits_is_followed_up_as_soon_as_it_does(
    services: InMemoryServices,
) -> None:
    started = services.clock.now()
    reported_at_begin(services)
    run = orchestration(services, events={"completed": started - SOON})
    assert await run.run() == {"outcome": "done", "told": 1}
    assert services.clock.now() == started


async def test_where_the_event_is_lost_the_timers_check_finds_what_was_reported(
    services: InMemoryServices,
) -> None:
    started = services.clock.now()
    reported_at_begin(services)
    assert await orchestration(services).run() == {"outcome": "done", "told": 1}
    assert services.clock.now() == started + timedelta(hours=1)


async def test_progress_wakes_the_job_and_ends_nothing(services: InMemoryServices) -> None:
    started = services.clock.now()
    await services.job_reports.put(JobReport(job_id="job-1", name="progress", reported_at=started))
    run = orchestration(services, events={"completed": started + SOON})
    assert await run.run() == {"outcome": "done", "told": 2}
    assert services.clock.now() == started + timedelta(days=1, hours=1)


class Workshop:
    """Takes repairs, and says at once that it is at work; ``report_to`` are the URLs it was given."""

    def __init__(self, services: InMemoryServices) -> None:
        self.report_to: dict[str, str] = {}
        self._services = services

    async def take(self, job_id: str, *, report_to: dict[str, str]) -> None:
        self.report_to = report_to
        await self.says("progress", b'{"percent": 40}')

    async def says(self, name: ReportName, content: bytes = b"{}") -> None:
        now = self._services.clock.now()
        report = JobReport(job_id="job-1", name=name, reported_at=now, content=content)
        await self._services.job_reports.put(report)


@pytest.mark.parametrize(
    ("last", "told"),
    [("completed", "Your laptop is repaired."), ("failed", "I am sorry, your laptop is beyond repair.")],
)
async def test_the_example_of_the_docs_does_what_they_say(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch, last: ReportName, told: str
) -> None:
    (example,) = EXAMPLE.findall(JOBS_PAGE.read_text("utf-8"))
    names: dict[str, Any] = {}
    exec(compile(example, str(JOBS_PAGE), "exec"), names)  # noqa: S102 - it is our own page
    monkeypatch.setattr(catalog, "JOBS", (names["RepairLaptop"](),))
    workshop = Workshop(services)
    monkeypatch.setattr(services, "workshop", workshop, raising=False)
    send = services.connector.send

    async def send_and_report(*arguments: Any, **keywords: Any) -> Any:
        await workshop.says(last)
        return await send(*arguments, **keywords)

    monkeypatch.setattr(services.connector, "send", send_and_report)
    started = services.clock.now()
    run = orchestration(services, kind="repair_laptop", events={"completed": started + SOON})
    assert (await run.run())["told"] == 2
    assert services.connector.texts == ["The workshop says: 40 % done.", told]
    assert set(workshop.report_to) == {"progress", "completed", "failed"}
    assert services.clock.now() == started + SOON + timedelta(hours=12)
