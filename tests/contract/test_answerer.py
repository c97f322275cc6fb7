"""The Answerer port: in memory, the local stand-in, and chat completions as they are streamed on loopback."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from openai import Timeout

from adapters.in_memory import InMemoryAnswerer, SteppedClock
from adapters.local_answerer import FACTS, STAND_IN, LocalAnswerer, NoAnswerer
from adapters.openai_answerer import OpenAIAnswerer
from agent.answer import Citation
from agent.conversation import Conversation
from agent.ports import Answerer, AnswererBusy, AnswererError, AnswererRefused, AnswererUnusable
from tests.contract.answerer_server import (
    KEY,
    MODEL,
    AnswererServer,
    answerer_server,
    chunk,
    without_choices,
    words,
)

QUESTION = "What can you do for my secret project?"
ASKER = Conversation(
    channel_id="msteams",
    conversation_id="a:chat",
    service_url="https://smba.example/amer/",
    conversation_type="personal",
    tenant_id="11111111-1111-4111-8111-111111111111",
    aad_object_id="22222222-2222-4222-8222-222222222222",
)
LATER = timedelta(seconds=5)


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AnswererServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with answerer_server() as server:
        yield server


@pytest.fixture
async def asking(server: AnswererServer) -> AsyncIterator[Callable[..., OpenAIAnswerer]]:
    """Makes answerers that ask the server, and closes them."""
    made: list[OpenAIAnswerer] = []

    def make(**how: Any) -> OpenAIAnswerer:
        made.append(OpenAIAnswerer(**{"model": MODEL, "key": KEY, "base_url": f"{server.url}/v1", **how}))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture(params=["in_memory", "local", "openai"])
def answerer(request: pytest.FixtureRequest) -> Answerer:
    if request.param == "in_memory":
        return InMemoryAnswerer()
    if request.param == "local":
        return LocalAnswerer(clock=SteppedClock())
    answerer: Answerer = request.getfixturevalue("asking")()
    return answerer


async def pieces_of(answerer: Answerer, question: str = QUESTION) -> list[str | Citation]:
    return [piece async for piece in answerer.answer(question, asked_by=ASKER)]


async def failed(answerer: Answerer) -> tuple[AnswererError, str]:
    """The error, and the text that came before it. It tells nothing of what was asked, and no key."""
    text = ""
    with pytest.raises(AnswererError) as caught:
        async for piece in answerer.answer(QUESTION, asked_by=ASKER):
            text += str(piece)
    assert "secret" not in str(caught.value)
    assert KEY not in str(caught.value)
    return caught.value, text


async def test_an_answer_comes_in_pieces_of_text(answerer: Answerer) -> None:
    texts = [piece for piece in await pieces_of(answerer) if isinstance(piece, str)]
    assert len(texts) > 1
    assert all(texts)


@pytest.mark.parametrize("blank", ["", " \n"])
async def test_a_blank_question_is_refused(answerer: Answerer, blank: str) -> None:
    with pytest.raises(AnswererRefused):
        await pieces_of(answerer, blank)


async def test_questions_that_are_asked_at_once_are_each_answered_whole(answerer: Answerer) -> None:
    alone = await pieces_of(answerer)
    assert await asyncio.gather(*(pieces_of(answerer) for _ in range(3))) == [alone] * 3


async def test_who_does_not_want_more_of_an_answer_may_leave_it(answerer: Answerer) -> None:
    async for piece in answerer.answer(QUESTION, asked_by=ASKER):
        assert piece
        break
    assert await pieces_of(answerer)


async def test_an_error_in_memory_is_raised_in_its_place_and_once() -> None:
    answerer = InMemoryAnswerer()
    answerer.pieces = ["It ", AnswererBusy("busy", retry_after=LATER), "depends."]
    error, text = await failed(answerer)
    assert (type(error), text) == (AnswererBusy, "It ")
    assert await pieces_of(answerer) == ["It ", "depends."]


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact.source)
def test_the_stand_ins_facts_can_be_cited(fact: Any) -> None:
    assert fact.citation.title
    assert fact.says.endswith(".")


async def test_the_stand_in_marks_its_sources_in_the_text_and_says_what_it_is() -> None:
    said = await pieces_of(LocalAnswerer(clock=SteppedClock()), "When may I cancel after a crash?")
    text = "".join(piece for piece in said if isinstance(piece, str))
    sources = [piece for piece in said if isinstance(piece, Citation)]
    assert len(sources) == 3
    assert [f"[{number}]" in text for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert text.endswith(STAND_IN)


async def test_the_stand_in_says_that_it_does_not_know() -> None:
    clock = SteppedClock()
    began = clock.now()
    said = await pieces_of(LocalAnswerer(clock=clock), "Who wrote Faust?")
    assert "".join(map(str, said)) == f"To that I know no answer.\n\n{STAND_IN}"
    assert clock.now() - began == timedelta(seconds=0.08) * len(said)


async def test_without_an_answerer_every_question_says_what_is_missing() -> None:
    error, _ = await failed(NoAnswerer())
    assert isinstance(error, AnswererUnusable)
    assert "AnswererModel" in str(error)
    with pytest.raises(AnswererRefused):
        await pieces_of(NoAnswerer(), " ")


async def test_the_question_is_asked_of_the_model_with_our_key_and_without_the_users_name(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    assert await pieces_of(asking()) == ["It ", "depends."]
    (asked,) = server.asked
    assert asked["headers"]["Authorization"] == f"Bearer {KEY}"
    body = asked["body"]
    assert (body["model"], body["stream"]) == (MODEL, True)
    assert [said["role"] for said in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == QUESTION
    assert body["user"]
    assert str(ASKER.aad_object_id) not in str(asked)


async def test_azures_endpoint_is_asked_in_the_same_way(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    filtered = without_choices(prompt_filter_results=[{"prompt_index": 0}])
    usage = without_choices(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3})
    server.chunks = [filtered, *server.chunks, usage]
    assert await pieces_of(asking(base_url=f"{server.url}/openai/v1/")) == ["It ", "depends."]
    assert server.asked[0]["path"] == "/openai/v1/chat/completions"


async def test_the_pages_that_the_model_found_are_cited_once_each(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    page = {
        "type": "url_citation",
        "url_citation": {"url": "https://a.example/", "title": "A", "start_index": 0},
    }
    untitled = {"type": "url_citation", "url_citation": {"url": "https://b.example/", "title": ""}}
    unusable = [
        {"type": "file"},
        {"type": "url_citation", "url_citation": {"url": "b.html", "title": "B"}},
        7,
    ]
    server.chunks = [
        *words("It depends."),
        chunk(annotations=[page, *unusable]),
        chunk(annotations=[page, untitled]),
        chunk(annotations="none"),
        chunk("stop"),
    ]
    assert await pieces_of(asking()) == [
        "It depends.",
        Citation(title="A", url="https://a.example/"),
        Citation(title="https://b.example/", url="https://b.example/"),
    ]


async def test_an_answer_that_became_too_long_says_that_it_goes_on(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    server.chunks = [*words("It ", "depends"), chunk("length")]
    assert "".join(map(str, await pieces_of(asking()))) == "It depends …"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "content_filter", AnswererRefused),
        (400, "context_length_exceeded", AnswererRefused),
        (400, "unsupported_parameter", AnswererUnusable),
        (401, "invalid_api_key", AnswererUnusable),
        (403, None, AnswererUnusable),
        (404, "model_not_found", AnswererUnusable),
        (408, None, AnswererBusy),
        (413, None, AnswererRefused),
        (429, "rate_limit_exceeded", AnswererBusy),
        (429, "insufficient_quota", AnswererUnusable),
        (500, "server_error", AnswererBusy),
        (503, None, AnswererBusy),
    ],
)
async def test_each_refusal_says_what_is_to_be_done_and_is_not_asked_again(
    server: AnswererServer,
    asking: Callable[..., OpenAIAnswerer],
    status: int,
    code: str | None,
    kind: type[AnswererError],
) -> None:
    server.answer = status, {"message": f"not this: {QUESTION} {KEY}", "code": code}, {}
    error, _ = await failed(asking())
    assert type(error) is kind
    assert code is None or code in str(error)
    assert kind is AnswererRefused or str(status) in str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("headers", "retry_after"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "7", "retry-after-ms": "1500"}, 1.5),
        ({"Retry-After": "soon"}, 5),
        ({"Retry-After": "inf"}, 5),
        ({"Retry-After": "-1"}, 5),
        ({}, 5),
    ],
)
async def test_a_busy_answerer_says_when_to_ask_again(
    server: AnswererServer,
    asking: Callable[..., OpenAIAnswerer],
    headers: dict[str, str],
    retry_after: float,
) -> None:
    server.answer = 429, {"message": "slow down", "code": "rate_limit_exceeded"}, headers
    error, _ = await failed(asking())
    assert isinstance(error, AnswererBusy)
    assert error.retry_after == timedelta(seconds=retry_after)


@pytest.mark.parametrize(
    ("chunks", "ends", "kind"),
    [
        (words("It ", "depends"), "cut", AnswererBusy),
        (words("It ", "depends"), "done", AnswererBusy),
        ([*words("It ", "depends"), "{no json"], "done", AnswererBusy),
        (
            [*words("It ", "depends"), {"error": {"message": QUESTION, "code": "server_error"}}],
            "",
            AnswererBusy,
        ),
        ([*words("It ", "depends"), chunk("content_filter")], "done", AnswererRefused),
        ([*words("It ", "depends"), chunk(refusal=QUESTION)], "done", AnswererRefused),
    ],
    ids=["cut", "no end", "no JSON", "error", "filtered", "refusal"],
)
async def test_what_breaks_off_is_told_after_the_pieces_that_came(
    server: AnswererServer,
    asking: Callable[..., OpenAIAnswerer],
    chunks: list[dict[str, Any] | str],
    ends: str,
    kind: type[AnswererError],
) -> None:
    server.chunks, server.ends = chunks, ends
    error, text = await failed(asking())
    assert type(error) is kind
    assert text == "It depends"


async def test_an_answer_that_does_not_end_is_left_and_its_connection_closed(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    server.chunks, server.ends = [*words("It depends.")], "never"
    error, text = await failed(asking(lasts=timedelta(seconds=0.1)))
    assert isinstance(error, AnswererBusy)
    assert text.startswith("It depends.")
    async with asyncio.timeout(10):
        await server.was_left.wait()


async def test_who_leaves_an_answer_closes_its_connection(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    server.ends = "never"
    answerer = asking()
    async for _ in answerer.answer(QUESTION, asked_by=ASKER):
        break
    async with asyncio.timeout(10):
        await server.was_left.wait()


async def test_an_answerer_that_falls_silent_is_left(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer]
) -> None:
    server.chunks, server.ends = [*words("It ")], "silent"
    error, text = await failed(asking(timeout=Timeout(5.0, read=0.3)))
    assert (type(error), text) == (AnswererBusy, "It ")


async def test_an_answerer_that_is_not_there_is_asked_again_later(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer], unused_tcp_port: int
) -> None:
    error, _ = await failed(asking(base_url=f"http://127.0.0.1:{unused_tcp_port}/v1"))
    assert isinstance(error, AnswererBusy)


async def test_neither_the_question_nor_the_answer_nor_the_key_is_logged(
    server: AnswererServer, asking: Callable[..., OpenAIAnswerer], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await pieces_of(asking())
        server.answer = 500, {"message": QUESTION}, {}
        await failed(asking())
    assert not [told for told in ("secret", KEY, "depends") if told in caplog.text]
    assert not [record for record in caplog.records if record.name.startswith("httpx2")]
