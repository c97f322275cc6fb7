"""A job's stream, moved on by the channel's rules, on a stepped loop."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from agent.job_entry import Progress
from agent.job_view import HANDED_OVER
from agent.jobs import catalog
from agent.jobs.definition import Job
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    DeliveryAmbiguous,
    StreamEnded,
    TokenRefused,
)
from agent.view import View
from tests.unit.agent.showing import HALF, MORE, a_job, moved
from tests.unit.agent.stepped_loop import run
from tests.unit.agent.streaming_channel import CHAT, StreamingServices, Told


def on_a_stream(
    work: Callable[[StreamingServices, View, Job], Coroutine[Any, Any, None]],
    *,
    opened: str = "Let me see.",
) -> None:
    """Run ``work`` on a stepped loop, with a stream that a turn has opened just now."""

    async def with_one() -> None:
        services = StreamingServices()
        view = await services.opened(opened)
        await work(services, view, a_job(services, kind="told"))
        assert dict(services.channel.streams.refusals) == {}

    run(with_one())


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Puts a streamed job into the catalog: whether its user's Stop cancels it."""

    def put(stop_cancels: bool) -> None:
        monkeypatch.setattr(catalog, "JOBS", (Told(stop_cancels=stop_cancels),))

    put(True)
    return put


@pytest.mark.usefixtures("streamed")
class TestStream:
    def test_its_updates_are_numbered_on_and_a_second_apart(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            for percent in range(10):
                view = await moved(services, view, Progress(step="Packing", percent=percent), job=job)
            assert [kind for kind, _ in services.channel.kinds()] == ["informative"] * 11
            infos = [(call.body or {})["entities"][0] for call in services.channel.calls]
            assert [info["streamSequence"] for info in infos] == list(range(1, 12))
            asked = services.channel.asked
            assert min(later - earlier for earlier, later in pairwise(asked)) > 1.19
            assert view.sequence == 11
            assert view.moves_on_at == view.shown_at + timedelta(seconds=25)

        on_a_stream(work)

    def test_it_is_shown_anew_when_that_is_due_and_not_before(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            view = await moved(services, view, job=job)
            assert view.moves_on_at == view.opened_at + timedelta(seconds=25)
            await services.clock.sleep(24.9)
            assert await moved(services, view, job=job) == view
            assert len(services.channel.parts) == 1
            await services.clock.sleep(0.1)
            view = await moved(services, view, job=job)
            assert services.channel.kinds() == [("informative", "Let me see.")] * 2
            assert view.shown_at > view.opened_at + timedelta(seconds=25)
            await services.clock.sleep(1)
            view = await moved(services, view, HALF, job=job)
            assert (view.shown, view.progress) == ("Packing (50%)", HALF)
            await services.clock.sleep(25)
            await moved(services, view, HALF, job=job)
            assert services.channel.kinds()[2:] == [("informative", "Packing (50%)")] * 2

        on_a_stream(work)

    def test_after_100_seconds_it_is_closed_by_a_final_that_hands_it_over(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            view = await moved(services, view, HALF, job=job)
            while view.moves_on_at and not view.ended:
                await services.clock.sleep((view.moves_on_at - services.clock.now()).total_seconds())
                view = await moved(services, view, HALF, job=job)
            closed_at, kind, text = services.channel.parts[-1]
            assert (kind, text) == ("final", f"Packing (50%)\n\n{HANDED_OVER}")
            assert 100 <= closed_at < 101
            assert [kind for kind, _ in services.channel.kinds()[:-1]] == ["informative"] * 5
            assert (view.ended, view.cancels_job) == ("completed", False)
            assert await moved(services, view, MORE, job=job) == view

        on_a_stream(work)

    def test_what_was_streamed_of_an_answer_stands_at_the_beginning_of_its_final(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            await services.clock.sleep(100)
            view = msgspec.structs.replace(view, streamed="It is")
            await moved(services, view, job=job)
            assert services.channel.kinds()[-1][1] == f"It is\n\nLet me see.\n\n{HANDED_OVER}"

        on_a_stream(work)

    @pytest.mark.parametrize("stop_cancels", [True, False])
    def test_its_users_stop_cancels_the_job_only_where_its_definition_says_so(
        self, streamed: Callable[[bool], None], stop_cancels: bool
    ) -> None:
        streamed(stop_cancels)

        async def work(services: StreamingServices, view: View, job: Job) -> None:
            services.channel.streams.cancel(CHAT.conversation_id)
            await services.clock.sleep(25)
            view = await moved(services, view, job=job)
            assert (view.ended, view.cancels_job) == ("stopped", stop_cancels)
            assert await moved(services, view, HALF, job=job) == view
            services.channel.streams.refusals.clear()

        on_a_stream(work)

    @pytest.mark.parametrize(
        ("error", "why"),
        [
            (StreamEnded("403", why="over"), "over"),
            (StreamEnded("403", why="completed"), "completed"),
            (ChannelRefused("400"), "refused"),
            (ConversationGone("403"), "refused"),
            (TokenRefused("401"), "refused"),
        ],
    )
    def test_what_ends_it_otherwise_does_not_end_the_job(self, error: Exception, why: str) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            services.channel.errors.append(error)
            view = await moved(services, view, HALF, job=job)
            assert (view.ended, view.cancels_job) == (why, False)

        on_a_stream(work)

    def test_a_busy_channel_is_left_alone_for_as_long_as_it_asks(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            busy = ChannelBusy("429", retry_after=timedelta(seconds=30))
            services.channel.errors.append(busy)
            view = await moved(services, view, HALF, job=job)
            assert view.moves_on_at is not None
            assert view.moves_on_at >= view.opened_at + timedelta(seconds=31)
            assert (view.progress, view.ended, view.sequence) == (None, "", 1)
            await services.clock.sleep(30)
            view = await moved(services, view, HALF, job=job)
            assert (view.shown, view.progress, view.sequence) == ("Packing (50%)", HALF, 2)
            assert view.moves_on_at == view.shown_at + timedelta(seconds=25)

        on_a_stream(work)

    def test_an_update_without_an_answer_is_numbered_past_and_shown_once_more(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            services.channel.lost.append(DeliveryAmbiguous("502"))
            view = await moved(services, view, HALF, job=job)
            assert (view.progress, view.sequence) == (None, 2)
            view = await moved(services, view, HALF, job=job)
            assert (view.progress, view.sequence) == (HALF, 3)

        on_a_stream(work)

    def test_a_final_without_an_answer_is_made_again_and_is_there_once(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            await services.clock.sleep(100)
            services.channel.lost.append(DeliveryAmbiguous("502"))
            view = await moved(services, view, job=job)
            assert view.ended == ""
            assert (await moved(services, view, job=job)).ended == "completed"
            assert [kind for kind, _ in services.channel.kinds()] == ["informative", "final"]
            services.channel.streams.refusals.clear()

        on_a_stream(work)

    def test_one_that_could_not_be_closed_within_two_minutes_is_over(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            await services.clock.sleep(100)
            services.channel.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=60)))
            view = await moved(services, view, job=job)
            assert view.ended == ""
            await services.clock.sleep(60)
            view = await moved(services, view, HALF, job=job)
            assert (view.ended, view.cancels_job) == ("over", False)
            assert len(services.channel.asked) == 2

        on_a_stream(work)

    def test_a_step_that_is_run_again_after_its_process_died_goes_on(self) -> None:
        async def work(services: StreamingServices, view: View, job: Job) -> None:
            await moved(services, view, HALF, job=job)
            await services.clock.sleep(5)
            view = await moved(services, view, HALF, job=job)  # its number was taken: it is dropped
            assert (view.sequence, view.ended) == (2, "")
            services.channel.streams.refusals.clear()
            view = await moved(services, view, MORE, job=job)
            assert (view.sequence, view.shown) == (3, "Sending (80%)")
            assert services.channel.kinds()[-1] == ("informative", "Sending (80%)")

        on_a_stream(work)
