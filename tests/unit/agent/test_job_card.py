"""A job's card says how it is: in words, by a bar, and where no card is shown."""

from typing import Any, get_args

import pytest

from agent.card_lint import findings
from agent.job_card import running_card
from agent.job_entry import JobState, Progress
from tests.unit.agent.cards import words_on

TEXT = "Coffee is on its way."


def card_of(progress: Progress | None = None, state: JobState = "running", **fields: Any) -> dict[str, Any]:
    answer = running_card(
        title="Make coffee", text=TEXT, progress=progress, state=state, job_id="job-1", **fields
    )
    assert answer.card
    return answer.card


def bars(card: dict[str, Any]) -> list[dict[str, Any]]:
    return [item for item in card["body"][-1]["items"] if item["type"] == "ProgressBar"]


def test_a_running_job_says_what_was_said_how_far_it_is_and_has_a_button_to_cancel_it() -> None:
    card = card_of(Progress(step="The water is hot", percent=40))
    assert words_on(card) == [TEXT, "Make coffee", "Running", "The water is hot (40%)"]
    assert card["actions"] == [{"type": "Action.Submit", "title": "Cancel", "data": {"cancel": "job-1"}}]


@pytest.mark.parametrize(("percent", "widths"), [(0, [100]), (40, [40, 60]), (100, [100])])
def test_the_bar_is_as_long_as_the_percent_also_where_the_channel_has_none_of_its_own(
    percent: int, widths: list[int]
) -> None:
    (bar,) = bars(card_of(Progress(step="The water is hot", percent=percent)))
    assert (bar["value"], bar["max"]) == (percent, 100)
    assert [column["width"] for column in bar["fallback"]["columns"]] == widths


def test_without_a_percent_there_is_no_bar() -> None:
    assert bars(card_of(Progress(step="The water is hot"))) == []
    assert words_on(card_of())[-1] == "Under way"


@pytest.mark.parametrize("state", [state for state in get_args(JobState) if state != "running"])
def test_a_job_that_has_ended_says_so_and_has_neither_bar_nor_button(state: JobState) -> None:
    card = card_of(Progress(step="The water is hot", percent=40), state, is_update=True)
    assert words_on(card) == [TEXT, "Make coffee", state.capitalize()]
    assert card["actions"] == []
    assert bars(card) == []
    assert card["fallbackText"] == f"Make coffee: {state.capitalize()}"


def test_where_no_card_is_shown_it_acknowledges_first_and_then_says_how_the_job_is() -> None:
    progress = Progress(step="The water is hot", percent=40)
    assert card_of(progress)["fallbackText"] == TEXT
    assert card_of(progress, is_update=True)["fallbackText"] == "Make coffee: The water is hot (40%)"


@pytest.mark.parametrize("state", get_args(JobState))
def test_it_has_nothing_that_is_not_shown(state: JobState) -> None:
    assert findings(card_of(Progress(step="The water is hot", percent=40), state)) == []
