"""Every night, and at start-up: makes missing queues and tables, lints cards, drops what ended long ago."""

import logging
from datetime import UTC, datetime

import azure.durable_functions as df
import azure.functions as func

from agent.card_lint import all_findings
from agent.jobs.catalog import JOBS
from composition import services

blueprint = df.Blueprint()
log = logging.getLogger(__name__)

ENDED = [
    df.OrchestrationRuntimeStatus.Completed,
    df.OrchestrationRuntimeStatus.Failed,
    df.OrchestrationRuntimeStatus.Terminated,
]
THE_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # the API wants a start; no orchestration is older


# At start-up because a queue trigger does not make its queue: what other systems put on it needs it there.
@blueprint.timer_trigger(arg_name="timer", schedule="0 0 3 * * *", run_on_startup=True)
@blueprint.durable_client_input(client_name="durable_client")
async def keep_house(timer: func.TimerRequest, durable_client: df.DurableOrchestrationClient) -> None:
    """Purge by the setting RetentionDays, counted from when an orchestration was started."""
    for finding in all_findings():
        log.warning("A card will not be shown as it is meant: %s", finding)
    ports = services()
    await ports.storage.make_missing()
    cutoff = ports.clock.now() - ports.retention
    purged = await durable_client.purge_instance_history_by(THE_BEGINNING, cutoff, ENDED)
    claims = await ports.turn_claims.forget_before(cutoff)
    deliveries = await ports.ledger.forget_before(cutoff)
    jobs = await ports.job_board.forget_before(cutoff)
    # A job may need what was reported of it, and answered, for as long as it runs.
    longest = max(job.deadline for job in JOBS)
    reports = await ports.job_reports.forget_before(cutoff - longest)
    approvals = await ports.approvals.forget_before(cutoff - longest)
    log.info(
        "Dropped %s orchestrations, %s turn claims, %s deliveries, %s reports on jobs, %s jobs of the board, "
        "%s approvals",
        purged.instances_deleted,
        claims,
        deliveries,
        reports,
        jobs,
        approvals,
    )
