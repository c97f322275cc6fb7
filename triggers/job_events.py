"""HTTP POST /api/jobs/{jobId}/events/{name}: the system that does a job's work reports on it."""

import logging
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from agent.callbacks import REPORT_NAMES, report_name
from agent.job_report import LARGEST_REPORT, BadReport, JobReport, parse_content
from agent.ports import Services
from composition import services
from orchestrators.steps import COMPLETED
from triggers.problem import problem

blueprint = df.Blueprint()
log = logging.getLogger(__name__)

ENDED = frozenset(
    {
        df.OrchestrationRuntimeStatus.Completed,
        df.OrchestrationRuntimeStatus.Failed,
        df.OrchestrationRuntimeStatus.Terminated,
        df.OrchestrationRuntimeStatus.Canceled,
    }
)


# Anonymous for the host, which knows of no signed URLs: it would ask for a function key besides.
@blueprint.route("jobs/{jobId}/events/{name}", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.durable_client_input(client_name="durable_client")
async def take_job_event(
    req: func.HttpRequest, durable_client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Write down a report on a job, then wake the job: 202, and 202 again for the same report.

    403 for a URL that we did not sign or that expired, 400 and 413 for what is no report, 404 for an unknown
    job and where no callbacks are accepted, 410 for a job that has ended.
    """
    ports = services()
    report = _report(req, ports)
    if isinstance(report, func.HttpResponse):
        return report
    if gone := await _gone(durable_client, report.job_id):
        return gone
    await ports.job_reports.put(report)
    # Also for a report that is there: who wrote it down may have died before it came to this.
    try:
        await durable_client.raise_event(report.job_id, COMPLETED)
    except Exception:
        # The SDK says by this, among others, that the job has ended since it was asked for.
        if gone := await _gone(durable_client, report.job_id):
            return gone
        raise
    log.info("Job %s is reported as %s", report.job_id, report.name)
    return func.HttpResponse(status_code=HTTPStatus.ACCEPTED)


def _report(req: func.HttpRequest, ports: Services) -> JobReport | func.HttpResponse:
    """What is reported, or why it is refused. Nobody's body is read whose URL we did not sign."""
    job_id, name = req.route_params["jobId"], report_name(req.route_params["name"])
    if not ports.callbacks.are_accepted:
        return problem(HTTPStatus.NOT_FOUND, "no reports on jobs are taken here")
    if name is None:
        return problem(HTTPStatus.BAD_REQUEST, f"the event must be one of {', '.join(REPORT_NAMES)}")
    expires, signature = req.params.get("expires", ""), req.params.get("signature", "")
    if not ports.callbacks.is_genuine(job_id, name, expires=expires, signature=signature):
        log.info("A report on a job was refused: its URL is not one of ours, or has expired")
        return problem(HTTPStatus.FORBIDDEN, "the callback URL is not valid, or not any more")
    body = req.get_body()
    if len(body) > LARGEST_REPORT:
        return problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a report may have {LARGEST_REPORT} bytes at most"
        )
    try:
        content = parse_content(body)
    except BadReport as error:
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    return JobReport(job_id=job_id, name=name, reported_at=ports.clock.now(), content=content)


async def _gone(durable_client: df.DurableOrchestrationClient, job_id: str) -> func.HttpResponse | None:
    """The answer where there is no such job any more, or none at all."""
    status = await durable_client.get_status(job_id)
    if not status or not status.instance_id:
        return problem(HTTPStatus.NOT_FOUND, "no job of this id is known, or it is forgotten")
    if status.runtime_status in ENDED:
        return problem(HTTPStatus.GONE, "the job has ended")
    return None
