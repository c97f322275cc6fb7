"""The example of a job that asks first: what is asked for, of whom, and what comes of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent.conversation import Conversation
from agent.jobs.definition import Approved, Done, Job
from agent.jobs.request_licence import ANY_SOFTWARE, RequestLicence, product_of
from agent.proactive_message import ToUser
from tests.unit.job_run import JobRun
from tests.unit.turns import TENANT, USER

APPROVER = "44444444-4444-4444-8444-444444444444"
ACKNOWLEDGED = "I will ask whether you may have a licence for Sketch."


def job(request: Any, *, tenant_id: str | None = TENANT) -> Job:
    asked_in = Conversation(
        channel_id="msteams",
        conversation_id="a:chat",
        service_url="https://smba.example/",
        tenant_id=tenant_id,
    )
    return Job(
        job_id="abcdef0123456789",
        kind="request_licence",
        requested_at=datetime(2026, 1, 1, tzinfo=UTC),
        requested_by=asked_in,
        request=request,
    )


@pytest.mark.parametrize(
    ("request_", "product"),
    [
        ("I need a licence for Sketch.", "Sketch"),
        ("please order a LICENSE for Visual Studio 2026!", "Visual Studio 2026"),
        ("I want two licences of İstanbul CAD", "İstanbul CAD"),
        ("I need a licence for [free money](http://bad.example)", "(free money)(http://bad.example)"),
        ("I need a licence for " + "x" * 500, "x" * 100),
        ("I need a licence", ANY_SOFTWARE),
        ("I need a licence for ...", ANY_SOFTWARE),
        ({"job": "request_licence"}, ANY_SOFTWARE),
    ],
)
def test_the_product_is_what_the_user_said(request_: Any, product: str) -> None:
    assert product_of(job(request_)) == product


@pytest.mark.parametrize(
    ("text", "is_asked_for"),
    [
        ("i need a licence for sketch", True),
        ("could you request a software license?", True),
        ("i do not want a licence", False),
        ("cancel, i need no licence", False),
        ("licence", False),
        ("order a laptop", False),
    ],
)
async def test_a_licence_is_requested_in_any_politeness(
    job_run: JobRun, text: str, is_asked_for: bool
) -> None:
    await job_run.ask(text)
    assert ("request_licence" in [started.kind for started in job_run.started]) == is_asked_for


async def test_a_licence_comes_five_seconds_after_the_approver_has_said_yes(job_run: JobRun) -> None:
    job_run.services.licence_approver = APPROVER
    assert ACKNOWLEDGED in await job_run.ask("I need a licence for Sketch.")
    assert await job_run.step(timedelta(hours=23)) == []
    assert await job_run.answer("approved") == ["Thank you. I have noted your answer: approved."]
    assert await job_run.step(timedelta(seconds=4)) == []
    (told,) = await job_run.step(timedelta(seconds=1))
    assert told.startswith("Here is your licence for Sketch, approved by Megan: no. ")
    assert job_run.outcome == "done"


async def test_a_licence_that_is_rejected_is_not_given_out(job_run: JobRun) -> None:
    await job_run.press({"job": "request_licence"})
    _, told = await job_run.answer("rejected", "too dear")
    no = "I am sorry, you may not have a licence for the software of your choice."
    assert told == f"{no}\n\nThe comment: too dear"
    assert (job_run.outcome, await job_run.step(timedelta(days=14))) == ("rejected", [])


async def test_a_licence_that_is_prepared_can_be_cancelled(job_run: JobRun) -> None:
    await job_run.ask("I need a licence for Sketch.")
    await job_run.answer("approved")
    assert "I have cancelled the licence for Sketch." in await job_run.ask("cancel")
    assert job_run.outcome == "cancelled"


@pytest.mark.parametrize(
    ("approver", "tenant_id", "put_to"),
    [
        ("", TENANT, None),
        (USER, TENANT, ToUser(tenant_id=TENANT, aad_object_id=USER)),
        (USER, None, None),
    ],
)
async def test_it_is_put_to_the_approver_in_the_askers_tenant_or_confirmed_by_who_asks(
    approver: str, tenant_id: str | None, put_to: ToUser | None
) -> None:
    services = InMemoryServices()
    services.licence_approver = approver
    definition = RequestLicence()
    assert isinstance(definition, Approved)
    approval = await definition.approval(job("I need a licence", tenant_id=tenant_id), services=services)
    assert approval.put_to == put_to


async def test_a_licence_that_is_given_out_twice_is_the_same() -> None:
    services, definition = InMemoryServices(), RequestLicence()
    outcomes = [await definition.check(job("a licence for Sketch"), {}, services=services) for _ in range(2)]
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], Done)
    assert outcomes[0].tell.text == "Here is your licence for Sketch: no. ABCDEF01."
