"""What an orchestration does about an answer that is composed: stepped, and on the real SDK with restarts."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from activities import compose_answer
from agent.answer import Answer
from agent.composing import BROKEN_OFF, ComposedOutcome, Composition
from agent.jobs.definition import Cancelled, Composing
from agent.ports import Services
from agent.view import View
from tests.unit.agent.streaming_channel import Told
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.screen_run import ACKNOWLEDGED, DONE, WAYS, ScreenRun, Shown, screen_run

pytestmark = test_on_the_sdk.pytestmark

Composed = Callable[[View | None], ComposedOutcome | Exception]
BROKE = ConnectionError("the model is away")


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenRun:
    return screen_run(request.param, tmp_path, monkeypatch)


@pytest.fixture
def composing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Composition]]:
    """Has these come of composing, the last one for ever; what was to be composed, each time."""

    def comes(*results: Composed) -> list[Composition]:
        given: list[Composition] = []
        coming = list(results)

        async def compose(composition: Composition, *, services: Services) -> ComposedOutcome:
            given.append(composition)
            result = (coming.pop(0) if len(coming) > 1 else coming[0])(composition.view)
            if isinstance(result, Exception):
                raise result
            return result

        monkeypatch.setattr(compose_answer, "compose", compose)
        return given

    return comes


def breaks(view: View | None) -> Exception:
    return BROKE


def left_to_be_told(view: View | None) -> ComposedOutcome:
    return ComposedOutcome(outcome=DONE, view=view)


def told(view: View | None) -> ComposedOutcome:
    assert view is not None
    return ComposedOutcome(outcome=DONE, is_told=True, view=msgspec.structs.replace(view, ended="completed"))


def after_a_stop(view: View | None) -> ComposedOutcome:
    assert view is not None
    ended = msgspec.structs.replace(view, ended="stopped")
    return ComposedOutcome(outcome=Cancelled(tell=Answer("I have stopped.")), is_told=True, view=ended)


async def test_an_answer_that_was_told_in_its_stream_is_not_told_again(
    run: ScreenRun, composing: Any
) -> None:
    given = composing(told)
    await run.follow(Shown(Composing()))
    assert run.output == {"outcome": "done", "told": 1}
    assert [text for _, _, text in run.connector.parts] == [ACKNOWLEDGED]
    assert run.connector.messages == []
    assert (given[0].number, given[0].view and given[0].view.activity_id) == (1, "s-1")


async def test_an_answer_that_was_not_told_ends_the_stream(run: ScreenRun, composing: Any) -> None:
    composing(left_to_be_told)
    await run.follow(Shown(Composing()))
    assert [text for _, _, text in run.connector.parts] == [ACKNOWLEDGED, "It is done."]
    assert run.connector.messages == []


async def test_an_answer_that_was_not_told_after_its_stream_was_closed_is_a_message(
    run: ScreenRun, composing: Any
) -> None:
    composing(lambda view: ComposedOutcome(outcome=DONE, view=msgspec.structs.replace(view, ended="over")))
    await run.follow(Shown(Composing()))
    assert run.connector.kinds == ["informative"]
    assert run.connector.messages == ["It is done."]


async def test_a_job_that_was_stopped_while_it_was_composed_says_no_more(
    run: ScreenRun, composing: Any
) -> None:
    composing(after_a_stop)
    await run.follow(Shown(Composing()))
    assert run.output == {"outcome": "cancelled", "told": 1}
    assert run.connector.messages == []


@pytest.mark.parametrize("kind", ["card", "messages"])
async def test_where_nothing_streams_the_answer_is_a_message(
    run: ScreenRun, composing: Any, kind: Any
) -> None:
    composing(left_to_be_told)
    await run.follow(Shown(Composing()), shown_as=kind)
    assert run.connector.messages == ["It is done."]
    assert len(run.updates) == (1 if kind == "card" else 0)


async def test_what_is_told_before_it_ends_the_stream_and_the_answer_is_the_second_thing(
    run: ScreenRun, composing: Any
) -> None:
    given = composing(left_to_be_told)
    await run.follow(Shown(Composing(tell=Answer("I look it up."))))
    assert run.output == {"outcome": "done", "told": 2}
    assert [text for _, _, text in run.connector.parts] == [ACKNOWLEDGED, "I look it up."]
    assert run.connector.messages == ["It is done."]
    assert given[0].number == 2


async def test_composing_that_breaks_is_tried_anew_and_its_stream_kept_alive(
    run: ScreenRun, composing: Any
) -> None:
    given = composing(breaks, breaks, breaks, breaks, left_to_be_told)
    await run.follow(Shown(Composing()))
    assert run.output == {"outcome": "done", "told": 1}
    assert len(given) == 5
    assert 75 <= run.seconds < 80
    assert run.connector.longest_silence < 40
    assert run.connector.parts[-1][1:] == ("final", "It is done.")
    sequences = [composition.view.sequence for composition in given]
    assert sequences[:4] == [1, 1, 1, 2], "each try is given the stream as it is then"
    assert dict(run.connector.streams.refusals) == {}


async def test_composing_that_breaks_each_time_is_told_as_the_jobs_failure(
    run: ScreenRun, composing: Any
) -> None:
    given = composing(breaks)
    await run.follow(Shown(Composing()))
    assert "the model is away" in run.output
    assert len(given) == 8
    assert (await run.entry()).state == "failed"
    (attached,) = (run.connector.calls[-1].body or {})["attachments"]
    assert attached["content"]["body"][0]["text"] == "it failed"


async def test_composing_is_not_tried_anew_beyond_the_jobs_deadline(run: ScreenRun, composing: Any) -> None:
    given = composing(breaks)
    definition = Shown(Composing())
    definition.deadline = timedelta(seconds=12)
    await run.follow(definition)
    assert len(given) == 2
    assert "the model is away" in run.output
    assert run.connector.kinds == ["informative", "final"]


async def test_a_stop_while_composing_is_to_be_tried_anew_ends_the_job(
    run: ScreenRun, composing: Any
) -> None:
    composing(breaks)
    run.stopped_at(20)
    await run.follow(Shown(Composing()))
    assert run.output == {"outcome": "cancelled", "told": 1}
    assert run.seconds < 27
    assert run.connector.messages == ["I have cancelled: Scripted."]


async def test_a_cancel_while_composing_is_to_be_tried_anew_ends_the_job_and_its_stream(
    run: ScreenRun, composing: Any
) -> None:
    composing(breaks)
    run.raise_at(20, "cancel")
    await run.follow(Shown(Composing()))
    assert run.output == {"outcome": "cancelled", "told": 1}
    assert run.seconds < 23
    assert run.connector.parts[-1][1:] == ("final", "I have cancelled: Scripted.")


async def test_an_answer_is_really_composed_anew_after_its_stream_was_broken_off(run: ScreenRun) -> None:
    definition = Told((0, RuntimeError("the model broke")))
    run.at(1, lambda: setattr(definition, "script", ((0, "It is so."),)))
    await run.follow(definition)
    assert run.output == {"outcome": "done", "told": 1}
    assert run.connector.parts[-1][1:] == ("final", BROKEN_OFF)
    assert run.connector.messages == ["It is so."]
