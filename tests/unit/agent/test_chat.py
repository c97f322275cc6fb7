"""The job that answers questions: what it takes for one, and what it says when there is no answer."""

import logging
from datetime import timedelta
from typing import Any

import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer, Citation
from agent.conversation import Conversation
from agent.job_entry import Progress
from agent.jobs import catalog
from agent.jobs.chat import BUSY, LONGEST_WAIT, MOST_TRIES, NO_QUESTION, OUT_OF_ORDER, REFUSED, Chat
from agent.jobs.definition import Composed, Composing, ComposingFailed, Failed, Job, JobDefinition
from agent.jobs.order_laptop import OrderLaptop
from agent.ports import AnswererBusy, AnswererRefused, AnswererUnusable

CHAT: JobDefinition = Chat()
ASKER = Conversation(
    channel_id="msteams",
    conversation_id="a:chat",
    service_url="https://smba.example/amer/",
    conversation_type="personal",
)
GUIDE = Citation(title="Guide", url="https://example.com/guide")
SOON = timedelta(seconds=7)


@pytest.fixture
def services() -> InMemoryServices:
    return InMemoryServices()


def asked(request: Any, services: InMemoryServices) -> Job:
    return Job(
        job_id="job-1",
        kind="chat",
        requested_at=services.clock.now(),
        requested_by=ASKER,
        request=request,
    )


async def composed(services: InMemoryServices) -> tuple[list[str | Citation], list[Progress], Answer | None]:
    """The pieces, the progress beside them, and what is told where it failed."""
    pieces: list[str | Citation] = []
    progress = []
    try:
        async for piece in Chat().compose(asked("Why?", services), services=services):
            if isinstance(piece, Progress):
                progress.append(piece)
            else:
                pieces.append(piece)
    except ComposingFailed as failed:
        return pieces, progress, failed.tell
    return pieces, progress, None


@pytest.mark.parametrize(
    "text",
    [
        "what is new",
        "what's new",
        "please explain durable functions",
        "could you tell me why it rains",
        "ask who is on call",
        "how do i cancel a job",
        "laptop prices?",
    ],
)
def test_a_question_is_recognised_by_how_it_begins_or_by_its_mark(text: str) -> None:
    assert CHAT.recognises(text)


@pytest.mark.parametrize(
    "text",
    ["order a laptop", "order me a laptop", "hello?", "whatever", "asking price", "show me", "", "?"],
)
def test_what_is_no_question_is_left_to_others(text: str) -> None:
    assert not CHAT.recognises(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Laptop prices?", "chat"),
        ("Laptop prices?!", "chat"),
        ("Laptop prices", None),
        ("What is the weather", "chat"),
        ("How do I order a laptop?", "chat"),
        ("Could you please order me a new laptop?", "order_laptop"),
        ("May I have a laptop? I need a laptop!", "order_laptop"),
        ("Hello?", None),
        ("?", None),
        ("", None),
    ],
)
def test_a_question_is_what_asks_for_no_other_job(
    monkeypatch: pytest.MonkeyPatch, text: str, kind: str | None
) -> None:
    for jobs in ([OrderLaptop(), Chat()], [Chat(), OrderLaptop()]):
        monkeypatch.setattr(catalog, "JOBS", jobs)
        definition = catalog.job_asked_for(text, None)
        assert (definition.kind if definition else None) == kind


def test_the_answer_is_composed_and_the_users_stop_ends_it() -> None:
    assert isinstance(CHAT, Composed)
    assert CHAT.stop_cancels


@pytest.mark.parametrize("request_", ["Why?", {"job": "chat", "question": "Why?"}])
async def test_a_question_is_answered_piece_by_piece(services: InMemoryServices, request_: Any) -> None:
    services.answerer.pieces = ["It ", "rains [1].", GUIDE]
    job = asked(request_, services)
    assert isinstance(await CHAT.begin(job, services=services), Composing)
    first, *pieces = [piece async for piece in Chat().compose(job, services=services)]
    assert isinstance(first, Progress)
    assert pieces == ["It ", "rains [1].", GUIDE]
    assert services.answerer.asked == ["Why?"]


@pytest.mark.parametrize("request_", ["  ", None, 7, {"job": "chat"}, {"job": "chat", "question": 7}])
async def test_without_a_question_nothing_is_composed(services: InMemoryServices, request_: Any) -> None:
    outcome = await CHAT.begin(asked(request_, services), services=services)
    assert outcome == Failed(tell=Answer(NO_QUESTION))


async def test_a_busy_answerer_is_waited_for_and_the_user_told(services: InMemoryServices) -> None:
    services.answerer.pieces = [AnswererBusy("429", retry_after=SOON), "It ", "rains."]
    began = services.clock.now()
    pieces, progress, told = await composed(services)
    assert (pieces, told) == (["It ", "rains."], None)
    assert len(progress) == 2
    assert services.clock.now() - began == SOON


async def test_an_answerer_that_stays_busy_is_given_up(
    services: InMemoryServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.answerer.pieces = [AnswererBusy("503", retry_after=SOON) for _ in range(MOST_TRIES + 1)]
    assert await composed(services) == ([], [*_progress(MOST_TRIES)], Answer(BUSY))
    assert len(services.answerer.asked) == MOST_TRIES
    assert "503" in caplog.text


def _progress(count: int) -> list[Progress]:
    waiting = Progress(step="Too much is asked just now: I wait, and ask again")
    return [Progress(step="Thinking about it"), *[waiting] * (count - 1)]


async def test_an_answerer_that_asks_for_long_is_not_waited_for(services: InMemoryServices) -> None:
    services.answerer.pieces = [AnswererBusy("429", retry_after=LONGEST_WAIT + SOON), "It rains."]
    pieces, _, told = await composed(services)
    assert (pieces, told) == ([], Answer(BUSY))


async def test_an_answer_that_breaks_off_is_not_begun_again(services: InMemoryServices) -> None:
    services.answerer.pieces = ["It ", AnswererBusy("cut", retry_after=SOON), "rains."]
    pieces, _, told = await composed(services)
    assert (pieces, told) == (["It "], Answer(BUSY))
    assert len(services.answerer.asked) == 1


@pytest.mark.parametrize(
    ("pieces", "tell"),
    [
        ([AnswererRefused("content_filter")], REFUSED),
        (["It ", AnswererRefused("content_filter")], REFUSED),
        ([], REFUSED),
        ([AnswererUnusable("401 invalid_api_key")], OUT_OF_ORDER),
    ],
    ids=["refused", "refused in the midst", "empty", "unusable"],
)
async def test_a_question_that_is_not_answered_is_told_so(
    services: InMemoryServices, pieces: list[str | Citation | Exception], tell: str
) -> None:
    services.answerer.pieces = pieces
    _, _, told = await composed(services)
    assert told == Answer(tell)


async def test_wrong_settings_are_an_error_in_the_log_and_the_question_is_not(
    services: InMemoryServices, caplog: pytest.LogCaptureFixture
) -> None:
    services.answerer.pieces = [AnswererUnusable("the answerer answered 401 invalid_api_key")]
    await composed(services)
    (logged,) = caplog.records
    assert logged.levelno == logging.ERROR
    assert logged.getMessage().endswith("the answerer answered 401 invalid_api_key")
    assert "Why" not in caplog.text
