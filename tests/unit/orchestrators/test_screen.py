"""A job's stream over time: stepped, and on the real SDK with a restart after every step."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.answer import Answer
from agent.job_entry import Progress
from agent.job_view import HANDED_OVER
from agent.jobs.definition import Failed, Outcome
from agent.ports import ChannelBusy
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.screen_run import (
    ACKNOWLEDGED,
    BEGUN,
    CHECKED,
    DONE,
    UNDONE,
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

CANCELLED = "I have cancelled: Scripted."
# Well before the 45 s after which Teams shows a stream as broken off.
LONGEST_SILENCE = 40


@pytest.fixture(params=WAYS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScreenRun:
    return screen_run(request.param, tmp_path, monkeypatch)


class TestAStreamIsKeptAlive:
    @pytest.mark.parametrize(
        ("lasting", "outcomes"),
        [
            (BEGUN, [DONE]),
            (CHECKED, [waiting(1), DONE]),
            ("", [waiting(60), DONE]),
        ],
    )
    async def test_through_a_minute_of_work_or_waiting(
        self, run: ScreenRun, lasting: str, outcomes: list[Outcome]
    ) -> None:
        run.lasting = {lasting: timedelta(seconds=60)}
        await run.follow(Shown(*outcomes))
        assert run.output == {"outcome": "done", "told": 1}
        assert 60 <= run.seconds < 65
        assert run.connector.kinds == ["informative", "informative", "informative", "final"]
        assert run.connector.parts[-1][2] == "It is done."
        assert run.connector.longest_silence < LONGEST_SILENCE
        assert run.connector.messages == []
        assert dict(run.connector.streams.refusals) == {}

    async def test_through_checks_that_are_short_and_many(self, run: ScreenRun) -> None:
        await run.follow(Shown(*[waiting(7)] * 12, DONE))
        assert run.connector.kinds == [*["informative"] * 4, "final"]
        assert run.connector.longest_silence < LONGEST_SILENCE

    async def test_while_it_is_cancelled(self, run: ScreenRun) -> None:
        run.lasting = {UNDONE: timedelta(seconds=60)}
        run.raise_at(10, "cancel")
        await run.follow(Shown(waiting(3600)))
        assert run.output == {"outcome": "cancelled", "told": 1}
        assert run.connector.parts[-1][1:] == ("final", CANCELLED)
        assert run.connector.longest_silence < LONGEST_SILENCE

    async def test_while_the_turn_is_still_at_work(self, run: ScreenRun) -> None:
        await run.follow(Shown(waiting(60), DONE), acknowledged_after=8)
        assert [kind for kind in run.connector.kinds if kind == "final"] == ["final"]
        assert run.connector.longest_silence < LONGEST_SILENCE
        assert run.connector.messages == []

    async def test_with_the_progress_as_it_changes(self, run: ScreenRun) -> None:
        steps = [waiting(10, progress=step(n)) for n in (1, 1, 2, 2, 3)]
        await run.follow(Shown(*steps, DONE))
        assert [text for _, _, text in run.connector.parts] == [
            ACKNOWLEDGED,
            "Step 1",
            "Step 2",
            "Step 3",
            "It is done.",
        ]
        assert dict(run.connector.streams.refusals) == {}

    async def test_a_busy_channel_is_not_asked_each_second_and_shown_the_news_when_it_is_free(
        self, run: ScreenRun
    ) -> None:
        busy = ChannelBusy("429", retry_after=timedelta(seconds=40))
        run.lasting = {BEGUN: timedelta(seconds=5)}
        run.at(2, lambda: run.connector.errors.append(busy))
        await run.follow(Shown(waiting(85, progress=step(1)), DONE))
        assert run.connector.errors == []
        assert [(round(second), text) for second, _, text in run.connector.parts] == [
            (0, ACKNOWLEDGED),
            (45, "Step 1"),
            (70, "Step 1"),
            (91, "It is done."),
        ]


class TestAStreamIsHandedOver:
    @pytest.mark.parametrize(
        ("lasting", "outcomes"),
        [
            (BEGUN, [DONE]),
            (CHECKED, [waiting(1), DONE]),
            ("", [waiting(150), DONE]),
        ],
    )
    async def test_after_100_seconds_and_the_job_is_told_by_message(
        self, run: ScreenRun, lasting: str, outcomes: list[Outcome]
    ) -> None:
        run.lasting = {lasting: timedelta(seconds=150)}
        await run.follow(Shown(*outcomes))
        assert run.output == {"outcome": "done", "told": 1}
        closed_at, kind, text = run.connector.parts[-1]
        assert (kind, text) == ("final", f"{ACKNOWLEDGED}\n\n{HANDED_OVER}")
        assert 100 <= closed_at < 103
        assert run.connector.longest_silence < LONGEST_SILENCE
        assert run.connector.messages == ["It is done."]
        assert 150 <= run.seconds < 155

    async def test_in_time_though_the_orchestration_started_over_meanwhile(
        self, run: ScreenRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        start_over_after(5, monkeypatch)
        steps = [waiting(4, progress=step(n // 3)) for n in range(24)]
        await run.follow(Shown(*steps, waiting(20), DONE))
        assert run.executions == 6
        assert run.connector.kinds.count("final") == 1
        sequences = [
            entity["streamSequence"]
            for call in run.connector.calls
            for entity in (call.body or {}).get("entities", [])
            if "streamSequence" in entity
        ]
        assert sequences == list(range(1, len(sequences) + 1))
        assert 100 <= run.connector.parts[-1][0] < 103
        assert run.connector.messages == ["It is done."]
        assert dict(run.connector.streams.refusals) == {}


class TestWhatIsTold:
    async def test_it_ends_the_stream_and_later_news_are_messages(self, run: ScreenRun) -> None:
        half = Progress(step="Packing", percent=50)
        placed = waiting(60, tell=Answer("It is placed."), progress=half)
        await run.follow(Shown(waiting(5), placed, waiting(60), DONE))
        assert run.output == {"outcome": "done", "told": 2}
        assert run.connector.parts[-1][1:] == ("final", "It is placed.")
        assert run.connector.messages == ["It is done."]
        assert dict(run.connector.streams.refusals) == {}

    async def test_at_once_it_ends_a_stream_that_was_not_seen_yet(self, run: ScreenRun) -> None:
        await run.follow(Shown(waiting(60, tell=Answer("It is placed.")), DONE))
        assert [text for _, _, text in run.connector.parts] == [ACKNOWLEDGED, "It is placed."]
        assert run.connector.messages == ["It is done."]

    async def test_a_cancel_that_comes_during_a_stream_ends_it(self, run: ScreenRun) -> None:
        run.raise_at(30, "cancel")
        await run.follow(Shown(waiting(3600)))
        assert run.output == {"outcome": "cancelled", "told": 1}
        assert run.connector.parts[-1][1:] == ("final", CANCELLED)
        assert run.connector.messages == []
        assert run.seconds < 33

    async def test_a_job_that_breaks_during_a_stream_ends_it_by_its_failure(self, run: ScreenRun) -> None:
        await run.follow(Breaking(waiting(30), DONE))
        assert "broke" in run.output
        assert run.connector.kinds == ["informative", "informative", "final"]
        (attached,) = (run.connector.calls[-1].body or {})["attachments"]
        assert attached["content"]["body"][0]["text"] == "it failed"
        assert run.connector.messages == []
        assert (await run.entry()).state == "failed"

    async def test_a_job_that_is_not_done_by_its_deadline_ends_its_stream_by_its_failure(
        self, run: ScreenRun
    ) -> None:
        definition = Shown(waiting(3600))
        definition.deadline = timedelta(seconds=40)
        await run.follow(definition)
        assert run.output == {"outcome": "failed", "told": 1}
        assert 40 < run.seconds < 45
        assert run.connector.kinds == ["informative", "informative", "final"]
        assert run.connector.messages == []

    async def test_a_job_goes_on_though_nothing_of_it_can_be_shown(
        self, run: ScreenRun, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its storage breaks whenever it is shown."""

        async def broken(turn_key: str) -> Any:
            raise ConnectionError("no storage")

        definition = Shown(waiting(5, progress=step(1)), waiting(5), Failed(tell=Answer("No.")))
        read = run.services.turn_claims.read
        monkeypatch.setattr(run.services.turn_claims, "read", broken)
        run.at(300, lambda: monkeypatch.setattr(run.services.turn_claims, "read", read))
        await run.follow(definition, shown_as="card")
        assert run.output == {"outcome": "failed", "told": 1}
        assert run.connector.messages == ["No."]
