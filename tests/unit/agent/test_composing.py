"""Answers that are composed piece by piece, on a stepped loop and by Teams' rules of streams."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from agent import follow_up as follow_ups
from agent.answer import Answer, Citation
from agent.composing import (
    BROKEN_OFF,
    EMPTY,
    HANDED_OVER,
    LONGEST,
    STREAM_LASTS,
    ComposedOutcome,
    Composition,
    compose,
)
from agent.follow_up import FollowUp
from agent.job_entry import JobEntry, Progress, owner_key
from agent.jobs import catalog
from agent.jobs.definition import Cancelled, ComposingFailed, Done, Failed, Job
from agent.ports import ChannelBusy, ChannelRefused, DeliveryAmbiguous, TokenRefused
from agent.task_hub import from_task_hub, to_task_hub
from agent.view import View
from tests.unit.agent.stepped_loop import run
from tests.unit.agent.streaming_channel import CHAT, StreamingServices, Told

FUNCTION_TIMEOUT = timedelta(minutes=5)
MICROSECOND = 1e-6  # by which the clock may differ from the loop
GUIDE = Citation(title="Guide", url="https://example.com/guide")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a job whose answer is scripted into the catalog."""

    def put(*script: Any, **fields: Any) -> Told:
        definition = Told(*script, **fields)
        monkeypatch.setattr(catalog, "JOBS", (definition,))
        return definition

    return put


def job(services: StreamingServices, kind: str = "told") -> Job:
    return Job(job_id="job-1", kind=kind, requested_at=services.clock.now(), requested_by=CHAT, version=2)


async def composed(services: StreamingServices, view: View | None) -> ComposedOutcome:
    """One run of the activity function, as the task hub calls it."""
    composition = to_task_hub(Composition(job=job(services), number=1, view=view))
    outcome = await compose(from_task_hub(composition, Composition), services=services)
    crossed: ComposedOutcome = from_task_hub(to_task_hub(outcome), ComposedOutcome)
    return crossed


async def follow_up(services: StreamingServices, outcome: ComposedOutcome) -> None:
    """What the orchestration does with the outcome."""
    if not outcome.is_told:
        stream = outcome.view.open_stream if outcome.view else None
        told = FollowUp(job=job(services), number=1, answer=outcome.outcome.tell, stream=stream)
        assert (await follow_ups.send(told, services=services)).outcome == "sent"


async def entry(services: StreamingServices) -> JobEntry:
    found = await services.job_board.find(owner_key(CHAT), "job-1")
    assert found is not None
    return found


def on_a_stream(work: Any) -> Any:
    """Run ``work(services, view)`` on a stepped loop, with a stream that was opened just now."""

    async def opened() -> Any:
        services = StreamingServices()
        return await work(services, await services.opened())

    coroutine: Coroutine[Any, Any, Any] = opened()
    return run(coroutine)


def test_the_text_grows_in_the_stream_and_its_final_is_the_answer(told: Any) -> None:
    told(*[(0.3, f"word{n} ") for n in range(20)], (0.0, GUIDE))

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        whole = "".join(f"word{n} " for n in range(20))
        assert isinstance(outcome.outcome, Done)
        assert (outcome.is_told, outcome.view and outcome.view.ended) == (True, "completed")
        assert outcome.outcome.tell == Answer(whole, citations=(GUIDE,), is_generated=True)
        kinds = [kind for _, kind, _ in services.channel.parts]
        assert kinds == ["informative", *["streaming"] * (len(kinds) - 2), "final"]
        assert len(kinds) >= 5
        for (_, _, earlier), (_, _, later) in pairwise(services.channel.parts[1:]):
            assert later.startswith(earlier)
        (about, info) = (services.channel.calls[-1].body or {})["entities"]
        assert about["additionalType"] == ["AIGeneratedContent"]
        assert about["citation"][0]["appearance"]["name"] == "Guide"
        assert info["streamType"] == "final"
        assert dict(services.channel.streams.refusals) == {}
        assert services.channel.messages == []
        record = await services.ledger.read("job-1.1")
        held = await services.ledger.read("job-1.stream")
        assert record is not None and record.state == "sent"
        assert held is not None and held.state == "sent"
        assert (await entry(services)).answer == outcome.outcome.tell

    on_a_stream(work)


def test_between_an_answer_and_the_next_request_there_is_a_second_and_never_less(told: Any) -> None:
    told(*[(0.05, "word ")] * 400)

    async def work(services: StreamingServices, view: View) -> None:
        await composed(services, view)
        apart = [later - earlier for earlier, later in pairwise(services.channel.asked)]
        assert min(apart) > 1.2 - MICROSECOND  # an answer takes 0.2
        assert len(services.channel.asked) > 10

    on_a_stream(work)


def test_what_is_done_is_shown_until_there_is_text(told: Any) -> None:
    told(
        (2, Progress(step="Reading", percent=50)),
        (3, Progress(step="Writing")),
        (3, "It is "),
        (3, Progress(step="Nobody sees this")),
        (3, "so."),
    )

    async def work(services: StreamingServices, view: View) -> None:
        await composed(services, view)
        assert services.channel.kinds() == [
            ("informative", "Let me see."),
            ("informative", "Reading (50%)"),
            ("informative", "Writing"),
            ("streaming", "It is "),
            ("streaming", "It is so."),
            ("final", "It is so."),
        ]

    on_a_stream(work)


@pytest.mark.parametrize("first", ["", "It is "])
def test_a_stream_is_never_silent_for_long(told: Any, first: str) -> None:
    told((0, first), (90, "so."))

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert outcome.is_told
        silences = [later - earlier for earlier, later in pairwise(services.channel.asked)]
        assert 20 < max(silences) < 30
        shown = services.channel.kinds()[-3]
        assert shown == (("streaming", "It is ") if first else ("informative", "Let me see."))

    on_a_stream(work)


def test_an_answer_that_outlasts_the_stream_is_handed_over_to_a_message(told: Any) -> None:
    told((1, "```\nfirst\n"), (150, "second\n```"))

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        closed_at, kind, text = services.channel.parts[-1]
        assert (kind, text) == ("final", f"```\nfirst\n\n```\n\n{HANDED_OVER}")
        assert STREAM_LASTS.total_seconds() <= closed_at < 110
        assert (outcome.is_told, outcome.view and outcome.view.ended) == (False, "completed")
        await follow_up(services, outcome)
        assert services.channel.messages == ["```\nfirst\nsecond\n```"]

    on_a_stream(work)


def test_a_stream_without_text_yet_is_handed_over_too(told: Any) -> None:
    told((150, "It is so."))

    async def work(services: StreamingServices, view: View) -> None:
        await follow_up(services, await composed(services, view))
        assert services.channel.kinds()[-1] == ("final", HANDED_OVER)
        assert services.channel.messages == ["It is so."]

    on_a_stream(work)


def test_while_the_channel_is_busy_updates_are_left_out_and_the_answer_is_told(
    told: Any,
) -> None:
    told(*[(1, "word ")] * 12)

    async def work(services: StreamingServices, view: View) -> None:
        services.channel.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=6)))
        outcome = await composed(services, view)
        assert outcome.is_told
        assert max(later - earlier for earlier, later in pairwise(services.channel.asked)) >= 6
        assert services.channel.kinds()[-1] == ("final", "word " * 12)

    on_a_stream(work)


def test_after_the_users_stop_nothing_more_is_composed_or_said(told: Any) -> None:
    definition = told((1, "It is "), *[(1, "so ")] * 100)

    async def work(services: StreamingServices, view: View) -> None:
        asyncio.get_running_loop().call_later(10, services.channel.streams.cancel, CHAT.conversation_id)
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Cancelled)
        assert outcome.is_told
        assert services.channel.messages == []
        assert "final" not in [kind for kind, _ in services.channel.kinds()]
        assert definition.ended_at[0] - view.opened_at < timedelta(seconds=14)
        assert (await entry(services)).state == "cancelled"
        assert await services.ledger.read("job-1.1") is None

    on_a_stream(work)


def test_a_stop_in_the_silence_before_the_last_word_is_heeded(told: Any) -> None:
    told((1, "It is "), (20, "so."))

    async def work(services: StreamingServices, view: View) -> None:
        asyncio.get_running_loop().call_later(10, services.channel.streams.cancel, CHAT.conversation_id)
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Cancelled)
        assert services.channel.messages == []

    on_a_stream(work)


def test_where_a_stop_ends_the_stream_alone_the_answer_comes_as_a_message(told: Any) -> None:
    told(*[(1, "word ")] * 30, stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        asyncio.get_running_loop().call_later(10, services.channel.streams.cancel, CHAT.conversation_id)
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Done)
        assert (outcome.is_told, outcome.view and outcome.view.ended) == (False, "stopped")
        await follow_up(services, outcome)
        assert services.channel.messages == ["word " * 30]

    on_a_stream(work)


@pytest.mark.parametrize("error", [ChannelRefused("400"), TokenRefused("no token")])
def test_a_stream_whose_update_is_refused_is_left_and_the_answer_comes_as_a_message(
    told: Any, error: Exception
) -> None:
    told(*[(1, "word ")] * 5)

    async def work(services: StreamingServices, view: View) -> None:
        services.channel.errors.append(error)
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Done)
        await follow_up(services, outcome)
        assert services.channel.messages == ["word " * 5]
        assert services.channel.kinds() == [("informative", "Let me see.")]

    on_a_stream(work)


def test_an_update_without_an_answer_does_not_end_the_stream(told: Any) -> None:
    told(*[(1, "word ")] * 9)

    async def work(services: StreamingServices, view: View) -> None:
        services.channel.errors.append(DeliveryAmbiguous("502"))
        services.channel.lost.append(DeliveryAmbiguous("502"))
        assert (await composed(services, view)).is_told
        assert services.channel.kinds()[-1] == ("final", "word " * 9)
        assert dict(services.channel.streams.refusals) == {}

    on_a_stream(work)


def test_a_final_whose_answer_is_lost_is_made_again_and_is_there_once(told: Any) -> None:
    told((0, "It is so."), stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        services.channel.lost.append(DeliveryAmbiguous("502"))
        outcome = await composed(services, view)
        assert outcome.is_told
        assert services.channel.kinds()[1:] == [("final", "It is so.")]
        assert services.channel.messages == []
        record = await services.ledger.read("job-1.1")
        assert record is not None
        assert (record.state, record.ambiguities, record.activity_id) == ("sent", 1, "s-1")

    on_a_stream(work)


def test_who_dies_in_the_middle_is_followed_by_one_that_streams_nothing_and_tells_the_answer_once(
    told: Any,
) -> None:
    told(*[(1, "word ")] * 20)

    async def work(services: StreamingServices, view: View) -> None:
        killed = asyncio.create_task(composed(services, view))
        await asyncio.sleep(10)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        streamed = len(services.channel.parts)
        told((5, "It is so."))
        outcome = await composed(services, view)
        assert (len(services.channel.parts), outcome.is_told) == (streamed, False)
        await follow_up(services, outcome)
        await follow_up(services, outcome)
        assert services.channel.messages == ["It is so."]
        held = await services.ledger.read("job-1.stream")
        assert held is not None and held.state == "expired"

    on_a_stream(work)


def test_who_comes_after_one_that_died_ends_its_stream_where_the_answer_goes_on_from_it(told: Any) -> None:
    told(*[(1, "word ")] * 20)

    async def work(services: StreamingServices, view: View) -> None:
        killed = asyncio.create_task(composed(services, view))
        await asyncio.sleep(10)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        await follow_up(services, await composed(services, view))
        assert services.channel.kinds()[-1] == ("final", "word " * 20)
        assert services.channel.messages == []

    on_a_stream(work)


def test_who_dies_while_the_final_is_on_its_way_is_followed_by_one_that_does_not_tell_it_again(
    told: Any,
) -> None:
    told((0, "It is so."), stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        killed = asyncio.create_task(composed(services, view))
        await asyncio.wait_for(services.channel.has_final.wait(), timeout=10)
        killed.cancel()
        await asyncio.gather(killed, return_exceptions=True)
        record = await services.ledger.read("job-1.1")
        assert record is not None and record.state == "sending"
        await asyncio.sleep(30)
        told((1, "Said in other words, it is so."))
        await follow_up(services, await composed(services, view))
        assert services.channel.kinds()[1:] == [("final", "It is so.")]
        assert services.channel.messages == []

    on_a_stream(work)


def test_what_breaks_closes_the_stream_and_is_composed_again_for_a_message(told: Any) -> None:
    told((2, "It "), (2, RuntimeError("the model broke")))

    async def work(services: StreamingServices, view: View) -> None:
        with pytest.raises(RuntimeError):
            await composed(services, view)
        assert (await entry(services)).reason == "compose: RuntimeError"
        assert services.channel.kinds()[-1] == ("final", f"It \n\n{BROKEN_OFF}")
        told((2, "It is so."))
        await follow_up(services, await composed(services, view))
        assert services.channel.messages == ["It is so."]

    on_a_stream(work)


def test_a_failure_that_was_foreseen_ends_the_stream_after_the_text_that_is_there(told: Any) -> None:
    told((2, "It "), (2, ComposingFailed(Answer("I do not know."))))

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Failed)
        assert outcome.is_told
        assert services.channel.kinds()[-1] == ("final", "It \n\nI do not know.")
        assert (await entry(services)).state == "failed"

    on_a_stream(work)


@pytest.mark.parametrize("script", [[(1, " \n")], [(1, Progress(step="Reading"))], []])
def test_an_answer_without_a_word_is_a_failure(told: Any, script: list[Any]) -> None:
    told(*script)

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Failed)
        assert (await entry(services)).reason == EMPTY
        assert services.channel.kinds()[-1] == ("final", "I am sorry.")

    on_a_stream(work)


@pytest.mark.parametrize("deadline", [timedelta(seconds=40), timedelta(days=1)])
def test_an_answer_that_is_not_whole_in_time_is_a_failure(told: Any, deadline: timedelta) -> None:
    definition = told(*[(1, "word ")] * 1000, deadline=deadline)

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Failed)
        lasted = services.clock.now() - view.opened_at
        assert min(deadline, LONGEST) <= lasted < min(deadline, LONGEST) + timedelta(seconds=5)
        assert len(definition.ended_at) == 1
        await follow_up(services, outcome)
        if deadline < STREAM_LASTS:
            assert services.channel.kinds()[-1][0] == "final"
            (attached,) = (services.channel.calls[-1].body or {})["attachments"]
            assert attached["content"]["body"][0]["text"] == "I am sorry."
            assert services.channel.messages == []
        else:
            assert services.channel.messages == ["I am sorry."]

    on_a_stream(work)


@pytest.mark.parametrize("kind", [None, "card", "messages", "ended"])
def test_where_nothing_is_streamed_the_answer_is_composed_and_stands_on_the_board(
    told: Any, kind: Any
) -> None:
    told((1, "It is "), (200, "so."))

    async def work(services: StreamingServices, view: View) -> None:
        parts = list(services.channel.parts)
        if kind == "ended":
            given: View | None = msgspec.structs.replace(view, ended="over")
        else:
            given = msgspec.structs.replace(view, kind=kind) if kind else None
        outcome = await composed(services, given)
        assert (outcome.is_told, outcome.view) == (False, given)
        assert (await entry(services)).answer == Answer("It is so.", is_generated=True)
        assert services.channel.parts == parts
        assert await services.ledger.read("job-1.stream") is None

    on_a_stream(work)


def test_of_a_very_long_answer_the_first_part_ends_the_stream(told: Any) -> None:
    words = "A sentence of some words, so to say. " * 50  # 3.7 KB in UTF-16
    told(*[(0.5, words)] * 12, (0, "\n\n"), *[(0.5, words)] * 40, stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert outcome.is_told
        assert dict(services.channel.streams.refusals) == {}
        assert services.channel.kinds()[-1][0] == "final"
        assert len(services.channel.messages) >= 2
        assert len(services.channel.parts) >= 5
        said = services.channel.kinds()[-1][1] + " " + " ".join(services.channel.messages)
        assert said.split() == outcome.outcome.tell.text.split()

    on_a_stream(work)


def test_a_very_long_answer_is_handed_over_with_what_was_streamed_of_it(told: Any) -> None:
    words = "A sentence of some words, so to say. " * 50
    told(*[(1, words)] * 130)

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        kind, closing = services.channel.kinds()[-1]
        streamed = services.channel.kinds()[-2][1]
        assert (kind, closing) == ("final", f"{streamed}\n\n{HANDED_OVER}")
        assert len(streamed) < services.delivery_options.max_activity_bytes // 4
        await follow_up(services, outcome)
        assert " ".join(services.channel.messages).split() == (words * 130).split()

    on_a_stream(work)


def test_an_answer_that_the_channel_has_no_time_for_is_left_to_the_follow_up(told: Any) -> None:
    told((1, "It is so."), stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        await asyncio.sleep(90)
        services.channel.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=1)))
        services.channel.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=60)))
        outcome = await composed(services, msgspec.structs.replace(view, shown_at=services.clock.now()))
        assert (outcome.is_told, outcome.view and outcome.view.is_streaming) == (False, True)
        await asyncio.sleep(90)
        await follow_up(services, outcome)
        assert services.channel.messages == ["It is so."]

    on_a_stream(work)


def test_an_answer_that_cannot_be_sent_just_now_is_left_to_the_follow_up(told: Any) -> None:
    told((0, "It is so."), stop_cancels=False)

    async def work(services: StreamingServices, view: View) -> None:
        services.channel.errors.append(TokenRefused("no token"))
        outcome = await composed(services, view)
        assert (outcome.is_told, outcome.view and outcome.view.is_streaming) == (False, True)
        await follow_up(services, outcome)
        assert services.channel.kinds()[1:] == [("final", "It is so.")]

    on_a_stream(work)


def test_a_kind_that_the_app_has_no_more_is_a_failure(told: Any) -> None:
    told()

    async def work(services: StreamingServices, view: View) -> None:
        composition = Composition(job=job(services, kind="withdrawn-since"), number=1, view=view)
        outcome = await compose(composition, services=services)
        assert isinstance(outcome.outcome, Failed)
        assert outcome.view == view

    on_a_stream(work)


def test_who_composes_and_does_not_come_to_an_end_holds_nothing_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(Told):
        async def compose(self, job: Job, *, services: Any) -> AsyncIterator[str | Progress | Citation]:
            try:
                async for piece in super().compose(job, services=services):
                    yield piece
            finally:
                await services.clock.sleep(1000)

    monkeypatch.setattr(catalog, "JOBS", (Stubborn((1, "word "), (1000, "word ")),))

    async def work(services: StreamingServices, view: View) -> None:
        outcome = await composed(services, view)
        assert isinstance(outcome.outcome, Failed)
        assert services.clock.now() - view.opened_at < FUNCTION_TIMEOUT - timedelta(seconds=20)

    on_a_stream(work)
