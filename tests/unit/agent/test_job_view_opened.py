"""The view of a job is what its turn has opened, as soon as that has told."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from adapters.in_memory import InMemoryServices
from agent.job_view import MESSAGES_APART
from agent.task_hub import from_task_hub, to_task_hub
from agent.told_in_turn import ACKNOWLEDGED_SOON, REDELIVERY_TAKES
from agent.turn_claim import CLAIM_HOLDS
from agent.view import View, ViewKind
from tests.unit.agent.cards import words_on
from tests.unit.agent.showing import HALF, MORE, a_job, a_view, card_of, moved, shown
from tests.unit.agent.streaming_channel import CHAT


@pytest.fixture
async def services() -> InMemoryServices:
    services = InMemoryServices()
    await services.conversations.heard(CHAT, at=services.clock.now())
    return services


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
