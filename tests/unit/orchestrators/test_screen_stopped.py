"""The user stops a job's stream, at any moment: stepped, and on the real SDK with restarts."""

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from agent.answer import Answer
from agent.jobs.definition import Composing, Job
from agent.ports import Services
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.screen_run import (
    BEGUN,
    CHECKED,
    DONE,
    WAYS,
    ScreenRun,
    Shown,
    screen_run,
    step,
    waiting,
)
from tests.unit.orchestrators.test_follow_up import failing

pytestmark = test_on_the_sdk.pytestmark

CANCELLED = "I have cancelled: Scripted."


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenRun:
    return screen_run(request.param, tmp_path, monkeypatch)


class TestTheUsersStop:
    @pytest.mark.parametrize("lasting", [BEGUN, CHECKED, ""])
    async def test_ends_the_job_where_its_definition_says_so(self, run: ScreenRun, lasting: str) -> None:
        """It is heeded as soon as the step is over that lasts, and not after the wait that would follow."""
        run.lasting = {lasting: timedelta(seconds=60)}
        run.stopped_at(10)
        outcomes = [waiting(1), waiting(3600)] if lasting == CHECKED else [waiting(3600)]
        await run.follow(Shown(*outcomes))
        assert run.output == {"outcome": "cancelled", "told": 1}
        assert run.connector.messages == [CANCELLED]
        assert "final" not in run.connector.kinds
        assert run.seconds < (65 if lasting else 27)
        assert (await run.entry()).state == "cancelled"

    async def test_ends_the_stream_alone_where_its_definition_says_that(self, run: ScreenRun) -> None:
        run.stopped_at(10)
        await run.follow(Shown(waiting(60), waiting(60, progress=step(1)), DONE, stop_cancels=False))
        assert run.output == {"outcome": "done", "told": 1}
        assert run.connector.messages == ["It is done."]
        assert 120 <= run.seconds < 125
        assert sum(run.connector.streams.refusals.values()) == 1

    async def test_has_nothing_composed_any_more(self, run: ScreenRun) -> None:
        run.lasting = {BEGUN: timedelta(seconds=60)}
        run.stopped_at(10)
        await run.follow(Shown(Composing()))
        assert run.output == {"outcome": "cancelled", "told": 1}
        assert run.connector.messages == [CANCELLED]

    async def test_is_heeded_while_a_step_is_tried_anew(self, run: ScreenRun) -> None:
        definition = Shown(waiting(3600))
        definition.begin = failing(5, definition.begin)  # type: ignore[method-assign]
        run.stopped_at(30)
        await run.follow(definition)
        assert run.output == {"outcome": "cancelled", "told": 1}
        assert run.seconds < 60

    async def test_is_waited_out_where_the_job_cannot_be_ended_at_once(self, run: ScreenRun) -> None:
        """Between the tries of its cancelling there are the pauses of every step; then it goes on."""
        definition = Shown(waiting(3600), waiting(5), DONE)
        tries: list[float] = []

        async def cancel(job: Job, state: dict[str, Any], *, services: Services) -> Answer:
            tries.append(run.seconds)
            raise ConnectionError("not now")

        definition.cancel = cancel  # type: ignore[attr-defined]
        run.stopped_at(10)
        await run.follow(definition)
        assert run.output == {"outcome": "done", "told": 2}
        assert len(tries) == 8
        assert [round(later - earlier) for earlier, later in pairwise(tries)][:4] == [5, 10, 20, 40]
        sorry, done = run.connector.messages
        assert "could not cancel" in sorry
        assert done == "It is done."
