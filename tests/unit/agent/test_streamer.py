"""A stream that is moved on, on a stepped clock."""

from datetime import timedelta

import pytest

from adapters.in_memory import InMemoryServices
from agent.conversation import Place
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    DeliveryAmbiguous,
    StreamEnded,
    StreamPartDropped,
    TokenRefused,
)
from agent.stream import PACE
from agent.streamer import Streamer
from agent.view import View

CHAT = Place(service_url="https://smba.example/amer/", conversation_id="a:chat")


@pytest.fixture
def services() -> InMemoryServices:
    return InMemoryServices()


@pytest.fixture
def streamer(services: InMemoryServices) -> Streamer:
    now = services.clock.now()
    opened = View(kind="stream", opened_at=now, shown_at=now, activity_id="s-1", sequence=1, shown="Looking")
    return Streamer(opened, at=CHAT, connector=services.connector, clock=services.clock)


def parts(services: InMemoryServices) -> list[tuple[str, str, int | None]]:
    """Each part that was taken: its kind, its text and its number."""
    found = []
    for call in services.connector.calls:
        body = call.body or {}
        (info,) = body["entities"]
        assert info["streamId"] == "s-1"
        found.append((info["streamType"], body["text"], info.get("streamSequence")))
    return found


async def test_updates_are_numbered_on_and_the_final_has_no_number(
    services: InMemoryServices, streamer: Streamer
) -> None:
    await streamer.show("Reading", "informative")
    view = await streamer.show("A lap", "streaming")
    assert (view.sequence, view.shown, view.streamed) == (3, "A lap", "A lap")
    assert view.open_stream is not None
    view = await streamer.close({"type": "message", "text": "A laptop"})
    assert parts(services) == [
        ("informative", "Reading", 2),
        ("streaming", "A lap", 3),
        ("final", "A laptop", None),
    ]
    assert (view.ended, view.open_stream) == ("completed", None)


async def test_between_an_answer_and_the_next_request_there_is_more_than_a_second(
    services: InMemoryServices, streamer: Streamer
) -> None:
    opened_at = services.clock.now()
    services.clock.step(timedelta(seconds=0.4))
    assert timedelta(seconds=1) < PACE
    assert (await streamer.show("A", "streaming")).shown_at == opened_at + PACE
    services.connector.errors.append(DeliveryAmbiguous("502"))
    await streamer.show("A B", "streaming")
    view = await streamer.show("A B", "streaming")
    assert view.shown_at == opened_at + 3 * PACE


async def test_while_the_channel_is_busy_updates_are_left_out_and_no_number_with_them(
    services: InMemoryServices, streamer: Streamer
) -> None:
    services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=9)))
    await streamer.show("A", "streaming")
    services.clock.step(timedelta(seconds=8))
    assert (await streamer.show("A B", "streaming")).shown == "Looking"
    assert (await streamer.close({"type": "message", "text": "A B"})).ended == ""
    services.clock.step(timedelta(seconds=1))
    assert (await streamer.show("A B C", "streaming")).shown == "A B C"
    assert parts(services) == [("streaming", "A B C", 2)]


@pytest.mark.parametrize("error", [DeliveryAmbiguous("502"), StreamPartDropped("202")])
async def test_what_may_be_in_the_stream_is_numbered_past_and_not_taken_for_shown(
    services: InMemoryServices, streamer: Streamer, error: Exception
) -> None:
    services.connector.errors.append(error)
    view = await streamer.show("A", "streaming")
    assert (view.shown, view.streamed, view.ended) == ("Looking", "A", "")
    await streamer.show("A B", "streaming")
    assert parts(services) == [("streaming", "A B", 3)]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (StreamEnded("403", why="stopped"), "stopped"),
        (StreamEnded("403", why="over"), "over"),
        (ChannelRefused("400"), "refused"),
        (ConversationGone("403"), "refused"),
        (TokenRefused("401"), "refused"),
    ],
)
async def test_what_the_channel_refuses_ends_the_stream_for_us(
    services: InMemoryServices, streamer: Streamer, error: Exception, why: str
) -> None:
    services.connector.errors.append(error)
    assert (await streamer.show("A", "streaming")).ended == why
    await streamer.show("A B", "streaming")
    assert (await streamer.close({"type": "message", "text": "A B"})).ended == why
    assert services.connector.calls == []


async def test_a_final_without_an_answer_is_made_again_and_then_known_to_have_arrived(
    services: InMemoryServices, streamer: Streamer
) -> None:
    services.connector.errors.extend([DeliveryAmbiguous("502"), StreamEnded("403", why="completed")])
    assert (await streamer.close({"type": "message", "text": "A"})).ended == ""
    assert (await streamer.close({"type": "message", "text": "A"})).ended == "completed"
