"""POST /api/jobs/{jobId}/events/{name}: who may report, what is written down, and in which order."""

import asyncio
import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.durable_functions as df
import azure.functions as func
import pytest

from adapters.in_memory import InMemoryServices
from agent.callbacks import Callbacks, ReportName
from agent.job_report import LARGEST_REPORT
from triggers import job_events

TAKE = job_events.take_job_event.build().get_user_function().client_function
JOB = "job-1"
HOUR = timedelta(hours=1)
Status = df.OrchestrationRuntimeStatus


class Hub:
    """A durable client on jobs that are in these states; ``raised`` are the events."""

    def __init__(self, services: InMemoryServices) -> None:
        self.jobs: dict[str, Any] = {JOB: Status.Running}
        self.raised: list[tuple[str, str]] = []
        self.reported_when_raised: list[set[str]] = []
        self.ends_before_the_event = False
        self.is_away = False
        self._services = services

    async def get_status(self, instance_id: str) -> SimpleNamespace:
        status = self.jobs.get(instance_id)
        return SimpleNamespace(instance_id=instance_id if status else None, runtime_status=status)

    async def raise_event(self, instance_id: str, event_name: str, event_data: Any = None) -> None:
        if self.is_away:
            raise Exception("Webhook returned unrecognized status code 500")
        if self.ends_before_the_event:
            self.jobs[instance_id] = Status.Completed
            raise Exception("is gone: either completed or failed")
        self.raised.append((instance_id, event_name))
        self.reported_when_raised.append(set(await self._services.job_reports.of(instance_id)))


class Endpoint:
    """The trigger, its ports in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.services = InMemoryServices()
        self.hub = Hub(self.services)
        monkeypatch.setattr(job_events, "services", lambda: self.services)

    def url(self, name: ReportName = "completed", *, job_id: str = JOB) -> str:
        return self.services.callbacks.url(job_id, name, expires_in=HOUR)

    async def post(
        self, url: str, body: bytes = b"", *, query: Mapping[str, str] | None = None
    ) -> func.HttpResponse:
        parts = urlsplit(url)
        _, _, _, job_id, _, name = parts.path.split("/")
        request = func.HttpRequest(
            "POST",
            url,
            params=dict(parse_qsl(parts.query)) if query is None else query,
            route_params={"jobId": job_id, "name": name},
            body=body,
        )
        response: func.HttpResponse = await TAKE(req=request, durable_client=self.hub)
        return response

    async def reports(self) -> dict[str, dict[str, Any]]:
        return {name: report.body for name, report in (await self.services.job_reports.of(JOB)).items()}

    async def nothing_changed(self) -> bool:
        return not await self.reports() and not self.hub.raised


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(monkeypatch)


def reason(response: func.HttpResponse) -> str:
    assert response.mimetype == "application/problem+json"
    problem = json.loads(response.get_body())
    assert problem["status"] == response.status_code
    return str(problem["detail"])


@pytest.mark.parametrize("name", ["progress", "completed", "failed"])
async def test_a_report_is_written_down_before_it_wakes_the_job(endpoint: Endpoint, name: ReportName) -> None:
    response = await endpoint.post(endpoint.url(name), b'{"percent": 40}')
    assert (response.status_code, response.get_body()) == (202, b"")
    assert await endpoint.reports() == {name: {"percent": 40}}
    assert endpoint.hub.raised == [(JOB, "completed")]
    assert endpoint.hub.reported_when_raised == [{name}]


async def test_a_report_may_say_nothing_but_its_name(endpoint: Endpoint) -> None:
    assert (await endpoint.post(endpoint.url())).status_code == 202
    assert await endpoint.reports() == {"completed": {}}


async def test_the_same_report_twice_changes_nothing_and_wakes_again(endpoint: Endpoint) -> None:
    await endpoint.post(endpoint.url(), b'{"at": "the desk"}')
    first = await endpoint.services.job_reports.of(JOB)
    endpoint.services.clock.step(timedelta(minutes=1))
    assert (await endpoint.post(endpoint.url(), b'{"at": "the desk"}')).status_code == 202
    assert await endpoint.services.job_reports.of(JOB) == first
    assert endpoint.hub.raised == [(JOB, "completed")] * 2


async def test_the_newest_report_of_a_name_is_kept_beside_those_of_other_names(endpoint: Endpoint) -> None:
    await endpoint.post(endpoint.url("progress"), b'{"percent": 40}')
    await endpoint.post(endpoint.url("progress"), b'{"percent": 60}')
    await endpoint.post(endpoint.url("failed"), b'{"why": "lost"}')
    assert await endpoint.reports() == {"progress": {"percent": 60}, "failed": {"why": "lost"}}


async def test_reports_at_the_same_time_are_all_taken(endpoint: Endpoint) -> None:
    names: list[ReportName] = ["progress", "completed", "failed"]
    answers = await asyncio.gather(*(endpoint.post(endpoint.url(name)) for name in names * 4))
    assert {answer.status_code for answer in answers} == {202}
    assert set(await endpoint.reports()) == set(names)


def forged(endpoint: Endpoint) -> dict[str, str]:
    url = endpoint.url()
    stranger = Callbacks(secrets=("s" * 32,), public_url="https://a.example", now=endpoint.services.clock.now)
    return {
        "by a stranger": stranger.url(JOB, "completed", expires_in=HOUR),
        "for another event": url.replace("/completed?", "/failed?"),
        "for another job": endpoint.url(job_id="job-2").replace("/job-2/", f"/{JOB}/"),
        "for an unknown job": url.replace(f"/{JOB}/", "/job-0/"),
        "for longer": url.replace("expires=1", "expires=2"),
        "cut off": url[:-1],
        "without a signature": url.partition("&signature")[0],
        "without a query": url.partition("?")[0],
        "with a signature of other letters": f"{url}%D0%90",
    }


async def test_a_forged_url_is_403_and_tells_nothing(endpoint: Endpoint) -> None:
    reasons = set()
    for forgery, url in forged(endpoint).items():
        response = await endpoint.post(url, b"no JSON")
        assert response.status_code == 403, forgery
        reasons.add(reason(response))
    assert len(reasons) == 1  # neither what is wrong, nor whether there is such a job
    assert await endpoint.nothing_changed()


async def test_a_parameter_that_comes_twice_is_403(endpoint: Endpoint) -> None:
    query = dict(parse_qsl(urlsplit(endpoint.url()).query))
    for name, value in query.items():
        # The host joins them with a comma.
        twice = {**query, name: f"{value},{value}"}
        assert (await endpoint.post(endpoint.url(), query=twice)).status_code == 403
    assert (await endpoint.post(endpoint.url(), query={**query, "utm": "x"})).status_code == 202


async def test_a_url_that_expired_is_403(endpoint: Endpoint) -> None:
    url = endpoint.url()
    endpoint.services.clock.step(HOUR)
    assert (await endpoint.post(url)).status_code == 403
    assert await endpoint.nothing_changed()


@pytest.mark.parametrize("name", ["done", "Completed", "completed ", "", "завершено"])
async def test_an_unknown_event_is_400(endpoint: Endpoint, name: str) -> None:
    response = await endpoint.post(endpoint.url().replace("/completed?", f"/{name}?"))
    assert response.status_code == 400
    assert "progress, completed, failed" in reason(response)
    assert await endpoint.nothing_changed()


@pytest.mark.parametrize("body", [b"secret", b"[]", b'{"a":' * 65 + b"1" + b"}" * 65])
async def test_a_body_that_is_no_json_object_is_400(endpoint: Endpoint, body: bytes) -> None:
    response = await endpoint.post(endpoint.url(), body)
    assert response.status_code == 400
    assert "secret" not in reason(response)
    assert await endpoint.nothing_changed()


async def test_a_body_that_is_too_large_is_413(endpoint: Endpoint) -> None:
    fits = json.dumps({"a": "x" * (LARGEST_REPORT - len('{"a": ""}'))}).encode()
    assert (await endpoint.post(endpoint.url(), fits + b" ")).status_code == 413
    assert await endpoint.nothing_changed()
    assert (await endpoint.post(endpoint.url(), fits)).status_code == 202


async def test_an_unknown_job_is_404(endpoint: Endpoint) -> None:
    response = await endpoint.post(endpoint.url(job_id="job-0"))
    assert (response.status_code, reason(response)) == (404, "no job of this id is known, or it is forgotten")
    assert await endpoint.services.job_reports.of("job-0") == {}
    assert await endpoint.nothing_changed()


@pytest.mark.parametrize("status", [Status.Completed, Status.Failed, Status.Terminated, Status.Canceled])
async def test_a_job_that_has_ended_is_410(endpoint: Endpoint, status: Any) -> None:
    endpoint.hub.jobs[JOB] = status
    response = await endpoint.post(endpoint.url())
    assert (response.status_code, reason(response)) == (410, "the job has ended")
    assert await endpoint.nothing_changed()


@pytest.mark.parametrize("status", [Status.Pending, Status.Running, Status.ContinuedAsNew])
async def test_a_job_that_has_not_ended_may_be_reported_on(endpoint: Endpoint, status: Any) -> None:
    endpoint.hub.jobs[JOB] = status
    assert (await endpoint.post(endpoint.url())).status_code == 202


async def test_a_job_that_ends_in_between_is_410(endpoint: Endpoint) -> None:
    endpoint.hub.ends_before_the_event = True
    assert (await endpoint.post(endpoint.url())).status_code == 410


async def test_an_event_that_is_not_taken_is_an_error_and_what_was_reported_stays(endpoint: Endpoint) -> None:
    endpoint.hub.is_away = True
    with pytest.raises(Exception, match="unrecognized status"):
        await endpoint.post(endpoint.url())
    assert await endpoint.reports() == {"completed": {}}
    endpoint.hub.is_away = False
    assert (await endpoint.post(endpoint.url())).status_code == 202
    assert endpoint.hub.raised == [(JOB, "completed")]


async def test_without_a_secret_nothing_is_taken(endpoint: Endpoint) -> None:
    url = endpoint.url()
    endpoint.services.callbacks = Callbacks(
        secrets=(), public_url="https://a.example", now=endpoint.services.clock.now
    )
    for asked in (url, url.partition("?")[0]):
        assert (await endpoint.post(asked)).status_code == 404
    assert await endpoint.nothing_changed()


async def test_neither_a_body_nor_a_signature_is_logged(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = endpoint.url()
    signature = dict(parse_qsl(urlsplit(url).query))["signature"]
    for asked, body in (
        (url, b'{"said": "unsayable"}'),
        (url, b"unsayable"),
        (url.replace("completed", "failed"), b'{"said": "unsayable"}'),
        (url, b"unsayable" * LARGEST_REPORT),
    ):
        await endpoint.post(asked, body)
    assert "is reported as completed" in caplog.text
    assert "was refused" in caplog.text
    assert "unsayable" not in caplog.text
    assert signature not in caplog.text
