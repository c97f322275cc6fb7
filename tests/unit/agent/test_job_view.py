"""How a job is shown while it runs: what each kind of view shows when, on a stepped clock."""

from collections.abc import Callable, Coroutine
from datetime import timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from adapters.in_memory import Call, InMemoryServices
from agent.job_entry import JobState, Progress
from agent.job_view import HANDED_OVER, MESSAGES_APART, Showed, Showing, show, view_kind
from agent.jobs import catalog
from agent.jobs.definition import JOB_VERSION, Job
from agent.jobs.order_laptop import OrderLaptop
from agent.jobs.request_licence import RequestLicence
from agent.ports import (
    ActivityNotFound,
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    DeliveryAmbiguous,
    StreamEnded,
    TokenRefused,
)
from agent.task_hub import from_task_hub, to_task_hub
from agent.told_in_turn import ACKNOWLEDGED_SOON, REDELIVERY_TAKES
from agent.turn_claim import CLAIM_HOLDS
from agent.view import View, ViewKind
from tests.unit.agent.cards import words_on
from tests.unit.agent.stepped_loop import run
from tests.unit.agent.streaming_channel import CHAT, StreamingServices, Told

HALF, MORE = Progress(step="Packing", percent=50), Progress(step="Sending", percent=80)
BUSY = ChannelBusy("429", retry_after=timedelta(seconds=9))

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


def a_job(services: InMemoryServices, *, kind: str = "order_laptop") -> Job:
    now = services.clock.now()
    return Job(job_id="job-1", kind=kind, requested_at=now, requested_by=CHAT, version=JOB_VERSION)


def a_view(services: InMemoryServices, kind: ViewKind, **fields: Any) -> View:
    """As a turn has just opened it."""
    now = services.clock.now()
    where = {} if kind == "messages" else {"activity_id": "sent-0", "sequence": 1}
    return View(kind=kind, opened_at=now, shown_at=now, **where, **fields)  # type: ignore[arg-type]


async def shown(
    services: InMemoryServices, view: View | None, progress: Progress | None = None, **fields: Any
) -> View | None:
    """One run of the activity function, as the task hub calls it."""
    job = fields.pop("job", None) or a_job(services)
    showing = to_task_hub(Showing(job=job, view=view, progress=progress, **fields))
    moved = await show(from_task_hub(showing, Showing), services=services)
    showed: Showed = from_task_hub(to_task_hub(Showed(view=moved)), Showed)
    return showed.view


async def moved(services: InMemoryServices, view: View | None, *given: Any, **fields: Any) -> View:
    """As ``shown``, where there is a view."""
    moved = await shown(services, view, *given, **fields)
    assert moved is not None
    return moved


def card_of(call: Call) -> dict[str, Any]:
    (attachment,) = (call.body or {})["attachments"]
    card: dict[str, Any] = attachment["content"]
    return card


class TestWhichKind:
    @pytest.mark.parametrize(
        ("definition", "conversation", "kind"),
        [
            (Told(), {}, "stream"),
            (Told(), {"conversation_type": "groupChat"}, "card"),
            (Told(), {"conversation_type": None}, "card"),
            (Told(), {"channel_id": "webchat"}, "messages"),
            (OrderLaptop(), {}, "card"),
            (OrderLaptop(), {"channel_id": "webchat"}, "messages"),
            (RequestLicence(), {}, "card"),
        ],
    )
    def test_a_job_is_shown_as_its_channel_can(
        self, definition: Any, conversation: dict[str, Any], kind: str
    ) -> None:
        assert view_kind(definition, msgspec.structs.replace(CHAT, **conversation)) == kind

    def test_in_copilot_a_stream_is_shown_and_no_card_for_that_could_not_be_changed(self) -> None:
        copilot = msgspec.structs.replace(CHAT, is_from_copilot=True)
        assert view_kind(Told(), copilot) == "stream"
        assert view_kind(OrderLaptop(), copilot) == "messages"

    def test_a_job_that_waits_for_people_is_not_streamed(self) -> None:
        class AskedFirst(Told, RequestLicence):
            stop_cancels = True

        assert view_kind(AskedFirst(), CHAT) == "card"


class TestCard:
    async def test_it_is_updated_in_place_when_the_progress_changes_and_only_then(
        self, services: InMemoryServices
    ) -> None:
        view = a_view(services, "card", shown="Packing (50%)")
        view = await moved(services, view, HALF)
        view = await moved(services, view, None)
        assert services.connector.calls == []
        assert view.progress == HALF
        services.clock.step(MINUTE)
        view = await moved(services, view, MORE)
        view = await moved(services, view, MORE)
        (call,) = services.connector.calls
        assert (call.method, call.activity_id) == ("update", "sent-0")
        assert (call.conversation_id, (call.body or {})["id"]) == (CHAT.conversation_id, "sent-0")
        assert words_on(card_of(call)) == [
            "Thank you for ordering a laptop. I will keep you posted with updates.",
            "Order a laptop",
            "Running",
            "Sending (80%)",
        ]
        (button,) = card_of(call)["actions"]
        assert button["data"] == {"cancel": "job-1"}
        assert (view.shown, view.progress) == ("Sending (80%)", MORE)
        assert view.shown_at == services.clock.now()

    @pytest.mark.parametrize("state", ["done", "failed", "cancelled", "rejected"])
    async def test_it_is_shown_as_ended_and_cannot_be_cancelled_any_more(
        self, services: InMemoryServices, state: JobState
    ) -> None:
        await moved(services, a_view(services, "card", shown="Packing (50%)"), state=state)
        (call,) = services.connector.calls
        assert words_on(card_of(call))[-1] == state.capitalize()
        assert card_of(call).get("actions", []) == []

    async def test_it_is_shown_as_ended_though_nothing_was_ever_shown_in_it(
        self, services: InMemoryServices
    ) -> None:
        await moved(services, a_view(services, "card"), state="done")
        assert [call.method for call in services.connector.calls] == ["update"]

    @pytest.mark.parametrize(
        "error", [ActivityNotFound("404"), ChannelRefused("400"), ConversationGone("403")]
    )
    async def test_what_the_channel_refuses_ends_the_view_and_is_not_tried_again(
        self, services: InMemoryServices, error: Exception
    ) -> None:
        services.connector.errors.append(error)
        view = await moved(services, a_view(services, "card"), HALF)
        assert view.ended == "refused"
        assert await moved(services, view, MORE) == view
        assert services.connector.calls == []

    @pytest.mark.parametrize("error", [BUSY, TokenRefused("401")])
    async def test_what_a_busy_channel_does_not_take_is_tried_again_the_next_time(
        self, services: InMemoryServices, error: Exception
    ) -> None:
        services.connector.errors.append(error)
        view = await moved(services, a_view(services, "card"), HALF)
        assert (view.ended, view.shown, view.progress) == ("", "", None)
        view = await moved(services, view, HALF)
        assert view.progress == HALF
        assert len(services.connector.calls) == 1

    async def test_how_it_ended_is_worth_another_try_for_there_is_no_next_time(
        self, services: InMemoryServices
    ) -> None:
        services.connector.errors.append(BUSY)
        with pytest.raises(ChannelBusy):
            await shown(services, a_view(services, "card"), state="done")


class TestMessages:
    async def told(self, services: InMemoryServices, number: int) -> Any:
        return await services.ledger.read(f"job-1.progress.{number}")

    async def test_there_is_one_a_minute_at_most_and_each_is_in_the_ledger_once(
        self, services: InMemoryServices
    ) -> None:
        view = a_view(services, "messages")
        said: list[tuple[int, str]] = []
        for second in range(0, 200, 10):
            percent = Progress(step="Packing", percent=second // 2)
            before = len(services.connector.texts)
            view = await moved(services, view, percent)
            said += [(second, text) for text in services.connector.texts[before:]]
            services.clock.step(timedelta(seconds=10))
        assert said == [(60, "Packing (30%)"), (120, "Packing (60%)"), (180, "Packing (90%)")]
        assert view.sequence == 3
        states = [record.state if (record := await self.told(services, n)) else None for n in range(5)]
        assert states == [None, "sent", "sent", "sent", None]

    async def test_the_same_progress_is_told_once(self, services: InMemoryServices) -> None:
        view = a_view(services, "messages")
        for _ in range(3):
            services.clock.step(MESSAGES_APART)
            view = await moved(services, view, HALF)
            view = await moved(services, view, None)
        assert services.connector.texts == ["Packing (50%)"]
        assert view.progress == HALF

    async def test_a_step_that_is_run_again_says_nothing_twice(self, services: InMemoryServices) -> None:
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        first = await moved(services, view, HALF)
        assert await moved(services, view, HALF) == first
        assert services.connector.texts == ["Packing (50%)"]

    async def test_there_is_none_beside_what_the_job_tells_itself_nor_afterwards(
        self, services: InMemoryServices
    ) -> None:
        services.clock.step(MINUTE * 2)
        long_ago = services.clock.now() - MINUTE * 2
        view = msgspec.structs.replace(a_view(services, "messages"), shown_at=long_ago)
        view = await moved(services, view, HALF, is_told=True)
        view = await moved(services, view, HALF)
        assert services.connector.calls == []
        assert (await moved(services, view, MORE)).sequence == 1
        assert services.connector.texts == ["Sending (80%)"]

    async def test_nothing_is_said_in_a_conversation_that_is_gone(self, services: InMemoryServices) -> None:
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        await services.conversations.mark_gone(CHAT, at=services.clock.now())
        view = await moved(services, view, HALF)
        assert view.ended == "refused"
        assert (await self.told(services, 1)).state == "gone"
        services.clock.step(MESSAGES_APART)
        assert await moved(services, view, MORE) == view
        assert services.connector.calls == []
        assert await self.told(services, 2) is None

    @pytest.mark.parametrize("error", [ChannelRefused("400"), ConversationGone("403")])
    async def test_what_the_channel_refuses_ends_the_view(
        self, services: InMemoryServices, error: Exception
    ) -> None:
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        services.connector.errors.append(error)
        assert (await moved(services, view, HALF)).ended == "refused"

    async def test_a_conversation_that_nobody_knows_ends_the_view(self) -> None:
        services = InMemoryServices()
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        assert (await moved(services, view, HALF)).ended == "refused"

    @pytest.mark.parametrize("error", [BUSY, TokenRefused("401")])
    async def test_what_a_busy_channel_does_not_take_is_told_under_its_number_a_minute_later(
        self, services: InMemoryServices, error: Exception
    ) -> None:
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        services.connector.errors.append(error)
        view = await moved(services, view, HALF)
        assert (view.ended, view.sequence, view.progress) == ("", 0, None)
        view = await moved(services, view, HALF)
        assert services.connector.texts == []
        services.clock.step(MESSAGES_APART)
        view = await moved(services, view, MORE)
        assert services.connector.texts == ["Sending (80%)"]
        assert (await self.told(services, 1)).state == "sent"
        assert view.sequence == 1

    async def test_what_may_have_arrived_is_not_said_again(self, services: InMemoryServices) -> None:
        view = a_view(services, "messages")
        services.clock.step(MESSAGES_APART)
        services.connector.errors.append(DeliveryAmbiguous("502"))
        view = await moved(services, view, HALF)
        services.clock.step(MESSAGES_APART)
        view = await moved(services, view, HALF)
        assert services.connector.calls == []
        assert (view.sequence, (await self.told(services, 1)).state) == (1, "ambiguous")


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


async def acknowledged(services: InMemoryServices, kind: ViewKind, *sent_ids: str | None) -> View:
    """The turn has acknowledged the job so."""
    claim = await services.turn_claims.insert("job-1", at=services.clock.now())
    assert claim is not None
    view = a_view(services, kind, shown="Packing (50%)", progress=HALF)
    opened = msgspec.structs.replace(view, activity_id=None)
    await services.turn_claims.write(
        msgspec.structs.replace(claim, state="acknowledged", sent_ids=sent_ids, view=opened)
    )
    return opened


class TestOpening:
    async def test_the_view_is_what_the_turn_has_acknowledged_the_job_with(
        self, services: InMemoryServices
    ) -> None:
        opened = await acknowledged(services, "card", "sent-7", "sent-8")
        view = await shown(services, None)
        assert view == msgspec.structs.replace(opened, activity_id="sent-7")
        assert services.connector.calls == []

    async def test_what_is_news_is_shown_in_it_at_once(self, services: InMemoryServices) -> None:
        await acknowledged(services, "card", "sent-7")
        assert (await moved(services, None, MORE)).progress == MORE
        (call,) = services.connector.calls
        assert (call.method, call.activity_id) == ("update", "sent-7")

    async def test_a_job_that_has_ended_is_shown_so_in_a_card_that_was_not_seen_before(
        self, services: InMemoryServices
    ) -> None:
        await acknowledged(services, "card", "sent-7")
        await shown(services, None, state="done")
        (call,) = services.connector.calls
        assert words_on(card_of(call))[-1] == "Done"

    @pytest.mark.parametrize("sent_ids", [(), (None,)])
    async def test_a_channel_that_told_no_id_is_sent_messages(
        self, services: InMemoryServices, sent_ids: tuple[str | None, ...]
    ) -> None:
        await acknowledged(services, "card", *sent_ids)
        job, started = a_job(services), services.clock.now()
        view = await moved(services, None, HALF, job=job)
        assert view == View(kind="messages", opened_at=started, shown_at=started)
        services.clock.step(MESSAGES_APART)
        await shown(services, view, MORE, job=job)
        assert services.connector.texts == ["Sending (80%)"]

    async def test_a_turn_that_opened_nothing_is_followed_by_messages(
        self, services: InMemoryServices
    ) -> None:
        assert (await moved(services, None)).kind == "messages"

    async def test_a_job_whose_begin_took_long_says_nothing_beside_what_it_tells(
        self, services: InMemoryServices
    ) -> None:
        job = a_job(services)
        services.clock.step(MESSAGES_APART * 2)
        assert (await moved(services, None, HALF, job=job, is_told=True)).progress == HALF
        assert services.connector.calls == []

    async def test_a_turn_that_is_still_at_work_is_waited_for_a_moment_and_the_job_goes_on(
        self, services: InMemoryServices
    ) -> None:
        await services.turn_claims.insert("job-1", at=services.clock.now())
        started = services.clock.now()
        assert await shown(services, None, HALF) is None
        waited = services.clock.now() - started
        assert ACKNOWLEDGED_SOON <= waited < ACKNOWLEDGED_SOON + timedelta(seconds=1)
        assert services.connector.calls == []

    async def test_a_turn_that_acknowledges_in_that_moment_is_heeded(
        self, services: InMemoryServices, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reads: list[str] = []
        opened = await acknowledged(services, "card", "sent-7")
        claim = await services.turn_claims.read("job-1")
        assert claim is not None
        before = msgspec.structs.replace(claim, state="claimed", sent_ids=(), view=None)

        async def read(turn_key: str) -> Any:
            reads.append(turn_key)
            return before if len(reads) < 4 else claim

        monkeypatch.setattr(services.turn_claims, "read", read)
        view = await shown(services, None)
        assert view == msgspec.structs.replace(opened, activity_id="sent-7")
        assert reads == ["job-1"] * 4

    @pytest.mark.parametrize("state", ["claimed", "released"])
    async def test_a_turn_that_died_is_not_waited_for(self, services: InMemoryServices, state: Any) -> None:
        claim = await services.turn_claims.insert("job-1", at=services.clock.now())
        assert claim is not None
        await services.turn_claims.write(msgspec.structs.replace(claim, state=state))
        services.clock.step(CLAIM_HOLDS + REDELIVERY_TAKES)
        started = services.clock.now()
        assert (await moved(services, None)).kind == "messages"
        assert services.clock.now() == started


def test_an_older_view_crosses_the_task_hub_and_the_claims_row() -> None:
    """What was stored before views knew when they move on, and with what progress."""
    plain = {"kind": "card", "openedAt": "2026-01-01T12:00:00Z", "shownAt": "2026-01-01T12:00:00Z"}
    view = from_task_hub(plain, View)
    assert (view.progress, view.moves_on_at, view.ended) == (None, None, "")
    assert from_task_hub(to_task_hub(view), View) == view
