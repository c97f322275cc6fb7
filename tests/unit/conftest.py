"""What the tests of jobs share."""

from collections.abc import AsyncIterator

import pytest

from tests.unit.job_run import JobRun


@pytest.fixture
async def job_run(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[JobRun]:
    """A chat with the agent in memory, in which a job is asked for."""
    run = JobRun(monkeypatch)
    yield run
    await run.end()
