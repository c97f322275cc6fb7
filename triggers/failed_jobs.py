"""HTTP POST /api/jobs/{jobId}/again: an operator has a job that broke run again."""

import json
import logging
from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from agent.run_again import run_again
from composition import services
from orchestrators.starting import is_running, start_job
from triggers.problem import problem

blueprint = df.Blueprint()
log = logging.getLogger(__name__)


@blueprint.route("jobs/{jobId}/again", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.durable_client_input(client_name="durable_client")
async def run_job_again(
    req: func.HttpRequest, durable_client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Start a job anew from its row in the ledger: 202 with the new job's id.

    404 for a job that is not there; 409 while it has not ended, and for one that was run again before, with
    the id that it got then.
    """
    job_id = req.route_params["jobId"]
    again = await run_again(
        job_id,
        start_job=partial(start_job, durable_client),
        is_running=partial(is_running, durable_client),
        services=services(),
    )
    if again.outcome == "unknown":
        return problem(HTTPStatus.NOT_FOUND, "no job of this id that broke is kept")
    if again.outcome == "running":
        return problem(HTTPStatus.CONFLICT, "the job has not ended yet")
    if again.outcome == "already":
        return problem(HTTPStatus.CONFLICT, f"the job was run again as {again.job_id}", jobId=again.job_id)
    log.info("Job %s is run again as %s", job_id, again.job_id)
    accepted = json.dumps({"jobId": again.job_id})
    return func.HttpResponse(accepted, status_code=HTTPStatus.ACCEPTED, mimetype="application/json")
