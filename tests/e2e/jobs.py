"""The jobs that devhost knows of, asked over the host's management API as in Azure."""

import asyncio
import time

import aiohttp
import pytest

from local.functions_host import functions_url
from local.stack import Stack

ENDED = {"Completed", "Failed", "Terminated"}
END_SECONDS = 30


async def job_states(stack: Stack) -> list[str]:
    """The runtime status of every job so far."""
    url = f"{functions_url(stack.ports)}/runtime/webhooks/durabletask/instances"
    async with aiohttp.ClientSession() as session, session.get(url, raise_for_status=True) as answer:
        return [instance["runtimeStatus"] for instance in await answer.json()]


async def states_once_ended(stack: Stack) -> list[str]:
    """The same, once no job has anything left to do."""
    deadline = time.monotonic() + END_SECONDS
    while not set(states := await job_states(stack)) <= ENDED:
        if time.monotonic() > deadline:
            pytest.fail(f"Jobs did not end within {END_SECONDS} s: {states}")
        await asyncio.sleep(0.1)
    return states
