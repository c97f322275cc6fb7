"""The example of a job that asks first: what is asked for, of whom, and what comes of it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent.conversation import Conversation
from agent.jobs.definition import Approved, Done, Job
from agent.jobs.request_licence import ANY_SOFTWARE, RequestLicence, product_of
from agent.proactive_message import ToUser
from tests.unit.turns import TENANT, USER, Channel, incoming_activity


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
async def test_a_licence_is_requested_in_any_politeness(text: str, is_asked_for: bool) -> None:
    channel = Channel()
    channel.begins = False
    await channel.deliver(incoming_activity(text=text))
    assert ("request_licence" in [started.kind for started in channel.started]) == is_asked_for


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
