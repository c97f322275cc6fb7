"""How a job is shown while it runs: which kind of view, and what a card and messages show when."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.job_entry import JobState, Progress
from agent.job_view import MESSAGES_APART, view_kind
from agent.jobs.order_laptop import OrderLaptop
from agent.jobs.request_licence import RequestLicence
from agent.ports import (
    ActivityNotFound,
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    DeliveryAmbiguous,
    TokenRefused,
)
from agent.tenant_doors import MOST_AT_WORK
from tests.unit.agent.cards import words_on
from tests.unit.agent.showing import BUSY, HALF, MINUTE, MORE, a_view, card_of, moved, shown
from tests.unit.agent.streaming_channel import CHAT, Told


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


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
    async def test_it_waits_while_many_of_the_tenant_are_told_something(
        self, services: InMemoryServices
    ) -> None:
        view = a_view(services, "card", shown="Packing (50%)")
        async with AsyncExitStack() as others:
            for _ in range(MOST_AT_WORK):
                await others.enter_async_context(services.doors.through(CHAT.tenant_id))
            moving = asyncio.create_task(moved(services, view, MORE))
            await asyncio.sleep(0.01)
            assert services.connector.calls == []
        await moving
        assert len(services.connector.calls) == 1

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
