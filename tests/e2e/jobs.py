"""The jobs that devhost knows of, asked over the host's management API as in Azure."""

import asyncio
import time
from typing import Any

import aiohttp
import pytest

from local.functions_host import functions_url
from local.stack import Stack

ENDED = {"Completed", "Failed", "Terminated"}
END_SECONDS = 30


async def job_states(stack: Stack) -> list[str]:
    """The runtime status of every job so far."""
    return [instance["runtimeStatus"] for instance in await _instances(stack)]


async def until_jobs_wait(stack: Stack) -> None:
    """Until each job has begun, and waits for what happens next, as its custom status says."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        steps = [(instance["customStatus"] or {}).get("step") for instance in await _instances(stack)]
        if steps and set(steps) == {"waiting"}:
            return
        if time.monotonic() > deadline:
            pytest.fail(f"Jobs do not wait within {END_SECONDS} s: {steps}")
        await asyncio.sleep(0.1)


async def _instances(stack: Stack) -> list[dict[str, Any]]:
    url = f"{functions_url(stack.ports)}/runtime/webhooks/durabletask/instances"
    async with aiohttp.ClientSession() as session, session.get(url, raise_for_status=True) as answer:
        instances: list[dict[str, Any]] = await answer.json()
        return instances


async def states_once_ended(stack: Stack) -> list[str]:
    """The same, once no job has anything left to do."""
    deadline = time.monotonic() + END_SECONDS
    while not set(states := await job_states(stack)) <= ENDED:
        if time.monotonic() > deadline:
            pytest.fail(f"Jobs did not end within {END_SECONDS} s: {states}")
        await asyncio.sleep(0.1)
    return states
