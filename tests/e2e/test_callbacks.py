"""The outside world reports by HTTP that the laptop has arrived, days before the next check."""

import asyncio
import time
from collections.abc import Iterator

import aiohttp
import pytest

from adapters.storage_account import account_of
from adapters.table_job_reports import TableJobReports
from adapters.tables import Tables
from agent.callbacks import ReportName
from agent.job_report import JobReport
from local.callback import callback_url
from local.functions_host import functions_url
from local.playground_driver import PlaygroundDriver
from local.settings_file import EXAMPLE_FILE, values_of
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import job_states, states_once_ended
from tests.e2e.test_main_job import DELIVERED, PLACED
from tests.e2e.turns import message_turn, post_turn

A_WEEK = str(7 * 24 * 3600)
FORGED = "A" * 43
BEGIN_SECONDS = 30


@pytest.fixture(scope="module")
def stack(run_stack: RunStack) -> Iterator[Stack]:
    """Nothing happens to an order here for a week, unless it is reported."""
    with run_stack({"OrderWaitSeconds": A_WEEK, "OrderDeliverySeconds": A_WEEK}) as running:
        yield running


async def running_jobs(stack: Stack) -> list[str]:
    url = f"{functions_url(stack.ports)}/runtime/webhooks/durabletask/instances?runtimeStatus=Running"
    async with aiohttp.ClientSession() as session, session.get(url, raise_for_status=True) as answer:
        return [instance["instanceId"] for instance in await answer.json()]


async def ordered(stack: Stack, playground: PlaygroundDriver) -> str:
    """Order a laptop; the id of its job, which waits."""
    turn = message_turn("order a laptop", playground=playground, ports=stack.ports)
    assert (await post_turn(turn, ports=stack.ports))[0] == 200
    deadline = time.monotonic() + BEGIN_SECONDS
    while not (jobs := await running_jobs(stack)):
        assert time.monotonic() < deadline, "no job runs"
        await asyncio.sleep(0.1)
    (job_id,) = jobs
    return job_id


async def report(url: str, body: str = "") -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.post(url, data=body) as answer:
        return answer.status, answer.content_type


def signed(stack: Stack, job_id: str) -> str:
    settings = values_of(EXAMPLE_FILE)
    return callback_url(job_id, "completed", ports=stack.ports, settings=settings)


async def test_what_is_reported_by_http_is_followed_up_at_once(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    job_id = await ordered(stack, playground)
    url = signed(stack, job_id)
    answers = await asyncio.gather(*(report(url, '{"at": "the desk"}') for _ in range(4)))
    # The job may have been followed up before the last of them was taken.
    assert {status for status, _ in answers} <= {202, 410}
    assert 202 in {status for status, _ in answers}
    await playground.wait_for(DELIVERED, seconds=30)
    assert set(await states_once_ended(stack)) == {"Completed"}
    assert [playground.count(text) for text in (PLACED, DELIVERED)] == [0, 1]
    assert await report(url) == (410, "application/problem+json")


async def test_forged_reports_are_refused_and_change_nothing(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    job_id = await ordered(stack, playground)
    url = signed(stack, job_id)
    base = f"{functions_url(stack.ports)}/api/jobs/{job_id}/events"
    unsigned, _, query = url.partition("?")
    forgeries = [
        unsigned,
        f"{unsigned}?code=devhost",
        f"{unsigned}?expires=9999999999&signature={FORGED}",
        url.replace("expires=1", "expires=2"),
        f"{base}/failed?{query}",
        f"{url}&{query}",
        url[:-1],
        signed(stack, job_id.upper()).replace(job_id.upper(), job_id),
    ]
    for forgery in forgeries:
        assert await report(forgery) == (403, "application/problem+json"), forgery
    assert await report(f"{base}/done?{query}") == (400, "application/problem+json")
    assert await report(url, "no JSON") == (400, "application/problem+json")
    assert await report(url, "x" * 20_000) == (413, "application/problem+json")
    unknown = "0" * 32
    assert await report(signed(stack, unknown)) == (404, "application/problem+json")
    assert await written(stack, job_id) == await written(stack, unknown) == {}
    assert "Running" in await job_states(stack)
    assert playground.count(DELIVERED) == 0
    assert (await report(url))[0] == 202
    await playground.wait_for(DELIVERED, seconds=30)
    assert set(await written(stack, job_id)) == {"completed"}


async def written(stack: Stack, job_id: str) -> dict[ReportName, JobReport]:
    tables = Tables(account_of(stack.connection_string))
    try:
        return await TableJobReports(tables).of(job_id)
    finally:
        await tables.close()
