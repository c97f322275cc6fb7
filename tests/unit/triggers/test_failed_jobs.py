"""POST /api/jobs/{jobId}/again: a job that broke is run again once, however often that is asked for."""

import asyncio
import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.delivery_record import DeliveryRecord, DeliveryState
from agent.job_entry import owner_key
from agent.jobs import running
from agent.jobs.catalog import with_terms
from agent.jobs.definition import Job
from agent.jobs.order_laptop import OrderLaptop
from orchestrators.following import Following
from tests.unit.orchestrators.test_follow_up import CHAT
from tests.unit.triggers.recording_client import Died, RecordingDurableClient
from triggers import failed_jobs, proactive_messages

AGAIN = failed_jobs.run_job_again.build().get_user_function().client_function
TELL = proactive_messages.tell_delivery.build().get_user_function()
JOB = "a" * 32
REQUEST = {"job": "order_laptop", "note": "what the user said"}
Status = df.OrchestrationRuntimeStatus


class Endpoint:
    """The trigger, its ports in memory; one job has run, and broken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.services = InMemoryServices()
        self.hub = RecordingDurableClient()
        for module in (failed_jobs, proactive_messages):
            monkeypatch.setattr(module, "services", lambda: self.services)
        self.hub.started.append(JOB)
        self.hub.statuses[JOB] = Status.Failed

    async def breaks(self) -> Job:
        job = Job(
            job_id=JOB,
            kind="order_laptop",
            requested_at=self.services.clock.now(),
            requested_by=CHAT,
            request=REQUEST,
        )
        job = with_terms(job)
        await running.note_failure(job, services=self.services)
        return job

    async def post(self, job_id: str = JOB) -> tuple[int, dict[str, Any]]:
        request = func.HttpRequest(
            "POST", f"/api/jobs/{job_id}/again", route_params={"jobId": job_id}, body=b""
        )
        response = await AGAIN(req=request, durable_client=self.hub)
        kind = "application/json" if response.status_code == 202 else "application/problem+json"
        assert response.mimetype == kind
        return response.status_code, json.loads(response.get_body())

    async def told(self, delivery_id: str = JOB) -> dict[str, Any]:
        """What GET /api/notifications/<id> tells."""
        request = func.HttpRequest("GET", "/", route_params={"deliveryId": delivery_id}, body=b"")
        told: dict[str, Any] = json.loads((await TELL(req=request)).get_body())
        return told

    def started(self) -> list[Job]:
        return [msgspec.convert(given, Following).job for given in self.hub.given]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(monkeypatch)


async def test_a_job_that_broke_is_started_anew_with_the_same_request(endpoint: Endpoint) -> None:
    job = await endpoint.breaks()
    endpoint.services.clock.step(timedelta(days=40))
    status, body = await endpoint.post()
    (anew,) = endpoint.started()
    assert (status, body) == (202, {"jobId": anew.job_id})
    assert anew.job_id != job.job_id
    assert (anew.kind, anew.request, anew.requested_by) == (job.kind, job.request, job.requested_by)
    # Its deadline is counted from now.
    assert (anew.version, anew.requested_at) == (2, endpoint.services.clock.now())
    assert anew.gives_up_at == anew.requested_at + OrderLaptop.deadline
    entry = await endpoint.services.job_board.find(owner_key(CHAT), anew.job_id)
    assert entry is not None
    assert (entry.state, entry.request) == ("running", REQUEST)


async def test_a_repeated_request_starts_nothing_and_is_answered_with_the_same_id(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    _, first = await endpoint.post()
    answers = []
    for state in (Status.Running, Status.Completed, Status.Failed):
        endpoint.hub.statuses[first["jobId"]] = state
        endpoint.services.clock.step(timedelta(days=10))
        answers.append(await endpoint.post())
    (status, body), *_ = answers
    assert answers == [(status, body)] * 3
    assert (status, body["status"], body["jobId"]) == (409, 409, first["jobId"])
    assert first["jobId"] in body["detail"]
    assert len(endpoint.started()) == 1


async def test_one_that_was_purged_meanwhile_is_not_run_once_more(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    _, first = await endpoint.post()
    endpoint.hub.started.clear()
    assert (await endpoint.post())[0] == 409
    assert endpoint.hub.started == []
    assert [job.job_id for job in endpoint.started()] == [first["jobId"]]


async def test_requests_at_the_same_time_start_one_job(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    answers = await asyncio.gather(*(endpoint.post() for _ in range(5)))
    assert {status for status, _ in answers} <= {202, 409}
    assert len({body["jobId"] for _, body in answers}) == 1
    assert len(set(endpoint.hub.started)) == 2  # the old one and the new one


async def test_a_process_that_died_between_start_and_row_starts_no_second_one(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    endpoint.hub.dies_after_start = True
    with pytest.raises(Died):
        await endpoint.post()
    endpoint.hub.dies_after_start = False
    status, body = await endpoint.post()
    (anew,) = endpoint.started()
    assert (status, body) == (202, {"jobId": anew.job_id})
    assert (await endpoint.post())[0] == 409


async def test_a_job_that_broke_again_is_run_again_by_its_own_id(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    _, first = await endpoint.post()
    (anew,) = endpoint.started()
    await running.note_failure(anew, services=endpoint.services)
    endpoint.hub.statuses[anew.job_id] = Status.Failed
    status, second = await endpoint.post(first["jobId"])
    assert status == 202
    assert second["jobId"] not in (JOB, first["jobId"])


async def test_the_row_is_told_without_the_job_and_tells_that_it_was_run_again(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    before = await endpoint.told()
    assert (before["deliveryId"], before["state"], before["hasEnded"], before["attempts"]) == (
        JOB,
        "failed",
        True,
        1,
    )
    _, body = await endpoint.post()
    after = await endpoint.told()
    assert (after["state"], after["attempts"]) == ("failed", 2)
    assert after["reason"] == f"{before['reason']}; run again as {body['jobId']}"
    assert "what the user said" not in json.dumps([before, after])


async def test_a_job_that_still_tells_its_user_is_409(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    endpoint.hub.statuses[JOB] = Status.Running
    status, body = await endpoint.post()
    assert (status, body["detail"]) == (409, "the job has not ended yet")
    assert endpoint.started() == []
    endpoint.hub.statuses[JOB] = Status.Failed
    assert (await endpoint.post())[0] == 202


async def test_a_job_whose_orchestration_was_purged_is_run_again_from_its_row(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    endpoint.hub.started.clear()
    assert (await endpoint.post())[0] == 202


A_JOB = msgspec.json.encode(
    Job(job_id="other", kind="order_laptop", requested_at=datetime(2026, 1, 1, tzinfo=UTC), requested_by=CHAT)
)


@pytest.mark.parametrize(
    ("delivery_id", "state", "body"),
    [
        ("other", "sent", A_JOB),
        ("another", "failed", A_JOB),
        ("other", "failed", b""),
        ("other", "failed", b"no JSON \xff"),
        ("other", "failed", b'{"deliveryId": "other", "text": "hi"}'),
    ],
)
async def test_what_is_no_job_that_broke_is_404(
    endpoint: Endpoint, delivery_id: str, state: DeliveryState, body: bytes
) -> None:
    now = endpoint.services.clock.now()
    record = DeliveryRecord(delivery_id=delivery_id, state=state, updated_at=now, attempts=1, body=body)
    await endpoint.services.ledger.insert(record)
    for job_id in (delivery_id, "unknown"):
        assert (await endpoint.post(job_id))[0] == 404
    assert endpoint.started() == []


async def test_no_request_is_logged(endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await endpoint.breaks()
    await endpoint.post()
    await endpoint.post()
    assert "is run again as" in caplog.text
    assert "what the user said" not in caplog.text


async def test_housekeeping_keeps_the_row_for_good(endpoint: Endpoint) -> None:
    await endpoint.breaks()
    endpoint.services.clock.step(timedelta(days=400))
    assert await endpoint.services.ledger.forget_before(endpoint.services.clock.now()) == 0
    assert (await endpoint.post())[0] == 202
