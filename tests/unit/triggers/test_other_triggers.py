"""The queue, its poison queue, notifications, the digest and the housekeeping; who may call what."""

import json
from datetime import timedelta
from typing import Any

import azure.functions as func
import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer
from agent.approval import Approval, ApprovalEntry
from agent.conversation import Conversation
from agent.delivery_record import DeliveryRecord
from agent.job_report import JobReport
from agent.jobs.catalog import JOBS
from agent.jobs.definition import Done, Job
from agent.jobs.entries import entry_of
from agent.ports import ChannelBusy, ChannelRefused, DeliveryAmbiguous
from agent.proactive_message import LONGEST_WAITING, UnusableMessage
from agent.undelivered import unusable_id
from tests.unit.triggers.recording_client import RecordingDurableClient
from tests.unit.turns import TENANT, USER
from triggers import daily_digest, housekeeping, job_events, messages, proactive_messages

GOOD = {"deliveryId": "d-1", "to": {"kind": "user", "tenantId": TENANT, "aadObjectId": USER}, "text": "hi"}
DELIVER = proactive_messages.deliver_proactive_message.build().get_user_function()
CLOSE = proactive_messages.close_undelivered_message.build().get_user_function()
TELL = proactive_messages.tell_delivery.build().get_user_function()
ACCEPT = proactive_messages.accept_notification.build().get_user_function()
DIGEST = daily_digest.send_daily_digest.build().get_user_function()
KEEP_HOUSE = housekeeping.keep_house.build().get_user_function().client_function


class Outbox:
    """A queue output."""

    sent: Any = None

    def set(self, value: Any) -> None:
        self.sent = value


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> InMemoryServices:
    services = InMemoryServices()
    for module in (proactive_messages, daily_digest, housekeeping):
        monkeypatch.setattr(module, "services", lambda: services)
    return services


async def accept(body: bytes) -> tuple[func.HttpResponse, Outbox]:
    outbox = Outbox()
    request = func.HttpRequest("POST", "/api/notifications", body=body)
    return await ACCEPT(req=request, outbox=outbox), outbox


async def test_a_queue_message_is_delivered(services: InMemoryServices) -> None:
    await DELIVER(queued=func.QueueMessage(body=json.dumps(GOOD).encode()))
    assert services.connector.texts == ["hi"]


async def test_a_busy_channel_puts_the_message_back_for_as_long_as_it_says_and_counts_its_waits(
    services: InMemoryServices,
) -> None:
    body = json.dumps(GOOD).encode()
    first_put_back = services.clock.now().isoformat().replace("+00:00", "Z")
    for number, asked in enumerate((30, 30, 7200), start=1):
        services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=asked)))
        await DELIVER(queued=func.QueueMessage(body=body))
        body, delay = services.proactive_queue.messages.pop()
        assert asked <= delay.total_seconds() <= asked * 1.25
        assert json.loads(body)["waits"] == number
        assert json.loads(body)["waitingSince"] == first_put_back
        record = await services.ledger.read("d-1")
        assert record is not None
        assert (record.state, record.reason) == ("busy", "ChannelBusy: 429")
        services.clock.step(delay)
    await DELIVER(queued=func.QueueMessage(body=body))
    assert services.connector.texts == ["hi"]
    assert services.proactive_queue.messages == []


async def test_a_message_that_is_shown_twice_while_it_waits_is_not_sent_early(
    services: InMemoryServices,
) -> None:
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=30)))
    for _ in range(2):
        await DELIVER(queued=func.QueueMessage(body=json.dumps(GOOD).encode()))
    assert services.connector.texts == []
    assert len({delay for _, delay in services.proactive_queue.messages}) == 1


async def test_a_message_that_has_waited_for_too_long_expires(services: InMemoryServices) -> None:
    since = (services.clock.now() - LONGEST_WAITING).isoformat()
    await DELIVER(queued=func.QueueMessage(body=json.dumps({**GOOD, "waitingSince": since}).encode()))
    record = await services.ledger.read("d-1")
    assert record is not None
    assert record.state == "expired"


async def test_a_message_that_may_have_arrived_is_held_unless_the_settings_say_otherwise(
    services: InMemoryServices,
) -> None:
    services.connector.errors.append(DeliveryAmbiguous("no answer"))
    await DELIVER(queued=func.QueueMessage(body=json.dumps(GOOD).encode()))
    assert services.proactive_queue.messages == []
    services.delivery_options = msgspec.structs.replace(services.delivery_options, ambiguous_sends="resend")
    services.connector.errors.append(DeliveryAmbiguous("no answer"))
    await DELIVER(queued=func.QueueMessage(body=json.dumps({**GOOD, "deliveryId": "d-2"}).encode()))
    assert len(services.proactive_queue.messages) == 1


async def test_a_message_that_expires_while_it_waits_is_not_sent(services: InMemoryServices) -> None:
    expires_at = (services.clock.now() + timedelta(seconds=10)).isoformat()
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=30)))
    await DELIVER(queued=func.QueueMessage(body=json.dumps({**GOOD, "expiresAt": expires_at}).encode()))
    ((body, delay),) = services.proactive_queue.messages
    services.clock.step(delay)
    await DELIVER(queued=func.QueueMessage(body=body))
    record = await services.ledger.read("d-1")
    assert record is not None
    assert record.state == "expired"
    assert services.connector.texts == []


async def test_a_message_that_cannot_be_read_leaves_its_reason_at_each_attempt(
    services: InMemoryServices,
) -> None:
    for attempt in (1, 2):
        with pytest.raises(UnusableMessage):
            await DELIVER(queued=func.QueueMessage(body=b"no JSON"))
        record = await services.ledger.read(unusable_id(b"no JSON"))
        assert record is not None
        assert (record.state, record.attempts) == ("accepted", attempt)
    await CLOSE(queued=func.QueueMessage(body=b"no JSON"))
    closed = await services.ledger.read(unusable_id(b"no JSON"))
    assert closed is not None
    assert (closed.state, closed.body) == ("failed", b"no JSON")


async def test_a_notification_is_put_on_the_queue_as_it_came(services: InMemoryServices) -> None:
    body = json.dumps({**GOOD, "text": "ä"}).encode()
    response, outbox = await accept(body)
    assert (response.status_code, json.loads(response.get_body())) == (
        202,
        {"deliveryId": "d-1", "state": "accepted"},
    )
    assert outbox.sent.encode() == body


async def test_what_became_of_a_delivery_is_told_without_its_message(services: InMemoryServices) -> None:
    services.connector.errors.append(ChannelRefused("the channel answered 400 BadSyntax", trace="MS-CV=1"))
    await DELIVER(queued=func.QueueMessage(body=json.dumps(GOOD).encode()))
    response = await TELL(req=asking_for("d-1"))
    assert (response.status_code, response.mimetype) == (200, "application/json")
    assert json.loads(response.get_body()) == {
        "deliveryId": "d-1",
        "state": "failed",
        "hasEnded": True,
        "updatedAt": "2026-01-01T12:00:00Z",
        "attempts": 1,
        "ambiguities": 0,
        "reason": "ChannelRefused: the channel answered 400 BadSyntax",
        "trace": "MS-CV=1",
    }
    assert (await TELL(req=asking_for("d-2"))).status_code == 404


def asking_for(delivery_id: str) -> func.HttpRequest:
    url = f"/api/notifications/{delivery_id}"
    return func.HttpRequest("GET", url, route_params={"deliveryId": delivery_id}, body=b"")


async def test_a_notification_whose_delivery_has_ended_is_not_put_on_the_queue_again(
    services: InMemoryServices,
) -> None:
    body = json.dumps(GOOD).encode()
    await DELIVER(queued=func.QueueMessage(body=body))
    response, outbox = await accept(body)
    assert json.loads(response.get_body()) == {"deliveryId": "d-1", "state": "sent"}
    assert outbox.sent is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no JSON", 400),
        (json.dumps({**GOOD, "to": {"kind": "user"}}).encode(), 400),
        (json.dumps({**GOOD, "text": "x" * 64 * 1024}).encode(), 413),
    ],
)
async def test_a_notification_that_cannot_be_sent_is_refused_with_a_reason(
    services: InMemoryServices, body: bytes, status: int
) -> None:
    response, outbox = await accept(body)
    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert json.loads(response.get_body())["detail"]
    assert outbox.sent is None


async def test_the_digest_expires_after_a_day(services: InMemoryServices) -> None:
    chat = Conversation(
        channel_id="msteams", conversation_id="a:1", service_url="s", tenant_id=TENANT, aad_object_id=USER
    )
    await services.orders.place("order-1", item="laptop", customer=chat)
    outbox = Outbox()
    await DIGEST(timer=None, outbox=outbox)
    (message,) = [msgspec.json.decode(text) for text in outbox.sent]
    assert message["to"] == {"kind": "user", "tenantId": TENANT, "aadObjectId": USER}
    expires_at = services.clock.now() + timedelta(days=1)
    assert message["expiresAt"] == expires_at.isoformat().replace("+00:00", "Z")


async def test_what_ended_before_the_retention_is_dropped(services: InMemoryServices) -> None:
    old = services.clock.now() - services.retention - timedelta(seconds=1)
    await services.turn_claims.insert("old", at=old)
    await services.ledger.insert(DeliveryRecord(delivery_id="old", state="sent", updated_at=old))
    chat = Conversation(channel_id="msteams", conversation_id="a:1", service_url="s")
    job = Job(job_id="old", kind="order_laptop", requested_at=old, requested_by=chat)
    entry = entry_of(job, Done(tell=Answer("done")), at=old)
    await services.job_board.put(entry)
    durable_client = RecordingDurableClient()
    await KEEP_HOUSE(timer=None, durable_client=durable_client)
    assert await services.turn_claims.read("old") is None
    assert await services.ledger.read("old") is None
    assert await services.job_board.find(entry.owner_key, "old") is None
    ((_, until, statuses),) = durable_client.purged
    assert until == services.clock.now() - services.retention
    assert {status.name for status in statuses} == {"Completed", "Failed", "Terminated"}


async def test_what_will_not_be_shown_of_a_card_is_named_at_start_up(
    services: InMemoryServices, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "all_findings", lambda: ["order.json: it has no fallbackText"])
    await KEEP_HOUSE(timer=None, durable_client=RecordingDurableClient())
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "A card will not be shown as it is meant: order.json: it has no fallbackText"
    ]


async def test_what_a_job_may_ask_for_is_kept_for_as_long_as_it_may_run_and_the_retention_besides(
    services: InMemoryServices,
) -> None:
    longest = services.retention + max(job.deadline for job in JOBS)
    for job_id, age in (("old", longest + timedelta(seconds=1)), ("young", longest)):
        at = services.clock.now() - age
        await services.job_reports.put(JobReport(job_id=job_id, name="progress", reported_at=at))
        approval = ApprovalEntry(
            approval_id=job_id,
            job_id=job_id,
            title="",
            approval=Approval(question="?"),
            asked_by="",
            put_to_key="",
            asked_at=at,
            expires_at=at,
            state="approved",
            answered_at=at,
        )
        await services.approvals.insert(approval)
    await KEEP_HOUSE(timer=None, durable_client=RecordingDurableClient())
    assert not await services.job_reports.of("old")
    assert await services.job_reports.of("young")
    assert await services.approvals.find("old") is None
    assert await services.approvals.find("young")


def test_only_the_channels_endpoint_and_the_signed_callbacks_are_open() -> None:
    levels = {}
    for module in (messages, proactive_messages, job_events):
        for builder in vars(module).values():
            if hasattr(builder, "_function"):
                for raw in builder.build().get_raw_bindings():
                    binding = json.loads(raw)
                    if binding["type"] == "httpTrigger":
                        levels[binding["route"]] = binding["authLevel"]
    assert levels == {
        "messages": "ANONYMOUS",
        "jobs/{jobId}/events/{name}": "ANONYMOUS",
        "notifications": "FUNCTION",
        "notifications/{deliveryId}": "FUNCTION",
    }
