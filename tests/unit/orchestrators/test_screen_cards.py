"""A job's card as it moves and ends, and its progress in messages: stepped, and on the real SDK."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.answer import Answer
from agent.job_entry import Progress
from agent.jobs.definition import Failed
from agent.ports import ActivityNotFound, ChannelBusy
from tests.unit.agent.cards import words_on
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.screen_run import (
    DONE,
    WAYS,
    Breaking,
    ScreenRun,
    Shown,
    screen_run,
    start_over_after,
    step,
    waiting,
)

pytestmark = test_on_the_sdk.pytestmark


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenRun:
    return screen_run(request.param, tmp_path, monkeypatch)


class TestACard:
    async def test_it_moves_with_the_progress_and_is_shown_as_ended(self, run: ScreenRun) -> None:
        steps = [waiting(10, progress=step(n)) for n in (1, 1, 2)]
        await run.follow(Shown(*steps, DONE), shown_as="card")
        assert [state_on(call) for call in run.updates] == ["Step 1", "Step 2", "Done"]
        assert {call.activity_id for call in run.updates} == {"s-1"}
        assert [bool(actions(call)) for call in run.updates] == [True, True, False]
        assert run.connector.messages == ["It is done."]

    async def test_it_is_the_same_one_after_the_orchestration_started_over(
        self, run: ScreenRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start_over_after(4, monkeypatch)
        steps = [waiting(5, progress=step(n // 2)) for n in range(6)]
        await run.follow(Shown(*steps, DONE), shown_as="card")
        assert run.executions == 2
        assert [state_on(call) for call in run.updates] == ["Step 0", "Step 1", "Step 2", "Done"]
        assert {call.activity_id for call in run.updates} == {"s-1"}

    @pytest.mark.parametrize("how", ["done", "failed", "cancelled", "broke"])
    async def test_it_is_shown_as_ended_however_soon_the_job_ends(self, run: ScreenRun, how: str) -> None:
        definition: Any = Shown(DONE if how == "done" else Failed(tell=Answer("No.")))
        if how == "cancelled":
            definition = Shown(waiting(3600))
            run.raise_at(0, "cancel")
        if how == "broke":
            definition = Breaking(waiting(1))
        await run.follow(definition, shown_as="card")
        assert state_on(run.updates[-1]) == ("Failed" if how == "broke" else how.capitalize())
        assert actions(run.updates[-1]) == []

    async def test_one_that_the_user_deleted_is_left_alone_and_the_job_goes_on(self, run: ScreenRun) -> None:
        run.at(5, lambda: run.connector.errors.append(ActivityNotFound("404")))
        steps = [waiting(10, progress=step(n)) for n in (1, 2, 3)]
        await run.follow(Shown(*steps, DONE), shown_as="card")
        assert [state_on(call) for call in run.updates] == ["Step 1"]
        assert run.connector.messages == ["It is done."]

    async def test_how_the_job_ended_is_shown_once_the_channel_is_free(self, run: ScreenRun) -> None:
        definition = Shown(waiting(10), DONE)
        original = run.connector.update

        async def busy_first(*given: Any, **fields: Any) -> Any:
            run.connector.update = original  # type: ignore[method-assign]
            raise ChannelBusy("429", retry_after=timedelta(seconds=5))

        run.connector.update = busy_first  # type: ignore[method-assign]
        await run.follow(definition, shown_as="card")
        assert run.output == {"outcome": "done", "told": 1}
        assert [state_on(call) for call in run.updates] == ["Done"]


class TestMessages:
    async def test_progress_is_told_once_a_minute_at_most_and_not_beside_what_is_told(
        self, run: ScreenRun
    ) -> None:
        steps = [*(waiting(20, progress=step(n)) for n in range(7)), waiting(80, progress=step(6))]
        placed = waiting(70, tell=Answer("It is placed."), progress=Progress(step="Placed"))
        await run.follow(Shown(*steps, placed, waiting(20), DONE), shown_as="messages")
        assert run.connector.messages == ["Step 3", "Step 6", "It is placed.", "It is done."]
        records = [await run.services.ledger.read(f"i.progress.{n}") for n in (1, 2, 3)]
        assert [record.state if record else None for record in records] == ["sent", "sent", None]


def state_on(call: Any) -> str:
    """How far the job is, as a card says it."""
    (attachment,) = (call.body or {})["attachments"]
    return words_on(attachment["content"])[-1]


def actions(call: Any) -> list[Any]:
    (attachment,) = (call.body or {})["attachments"]
    found: list[Any] = attachment["content"].get("actions", [])
    return found
