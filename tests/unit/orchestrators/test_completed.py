"""The event `completed` wakes a job once, whenever it comes: on the real SDK, with restarts."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.screen_run import BEGUN, DONE, SdkRun, Shown, waiting

pytestmark = test_on_the_sdk.pytestmark

HOUR = 3600.0


@pytest.mark.parametrize("shown_as", ["stream", "messages"])
@pytest.mark.parametrize("moments", [(), (0,), (5,), (0, 5), (100,), (5, 100), (100, 100.5), (0, 100, 200)])
async def test_it_ends_one_wait_and_not_each_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moments: tuple[float, ...], shown_as: str
) -> None:
    """Before the job is known, while its begin runs, while it waits, or twice in a moment."""
    run = SdkRun(tmp_path, monkeypatch)
    run.lasting = {BEGUN: timedelta(seconds=10)}
    for moment in moments:
        run.raise_at(moment, "completed")
    await run.follow(Shown(*[waiting(HOUR)] * 4, DONE), shown_as=shown_as)  # type: ignore[arg-type]
    assert run.output == {"outcome": "done", "told": 1}
    skipped = len(moments) if moments != (0, 5) else 1  # both came before the first wait
    assert run.seconds >= (4 - skipped) * HOUR
    assert run.seconds < (5 - skipped) * HOUR


@pytest.mark.parametrize("moment", [10.1, 10.5, 10.9, 11.1])
async def test_a_cancel_is_heeded_while_an_orchestration_starts_over_for_an_event_that_came_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: float
) -> None:
    run = SdkRun(tmp_path, monkeypatch)
    run.lasting = {BEGUN: timedelta(seconds=10)}
    run.raise_at(0, "completed")
    run.raise_at(moment, "cancel")
    await run.follow(Shown(waiting(HOUR)), shown_as="messages")
    assert run.output == {"outcome": "cancelled", "told": 1}
    assert run.seconds < 13
