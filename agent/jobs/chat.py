"""A job that answers a question piece by piece, by whoever answers questions here (the Answerer port)."""

import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec

from agent.answer import Answer, Citation
from agent.job_entry import Progress
from agent.jobs.definition import Composed, Composing, ComposingFailed, Failed, Job, JobDefinition, Outcome
from agent.ports import AnswererBusy, AnswererRefused, AnswererUnusable, Services

log = logging.getLogger(__name__)

BEGINS = re.compile(
    r"(please |(can|could|would|will) you |i would like to |i want to )*"
    r"(ask|what|how|why|who|whose|whom|when|where|which|explain|describe|tell me)\b(?!-)"
)
MOST_TRIES = 3
LONGEST_WAIT = timedelta(seconds=30)  # for a busy answerer, while the user looks on

NO_QUESTION = "What would you like to know? Write it as a question, such as 'How do I cancel a job?'"
REFUSED = "I am sorry, this is a question that I cannot answer. Please try to put it in another way."
OUT_OF_ORDER = (
    "I am sorry, I cannot answer questions at the moment: my settings for that are missing or wrong, and"
    " whoever runs me has to look at them."
)
BUSY = "I am sorry, I cannot answer just now. Please ask again in a while."


class AskedByButton(msgspec.Struct, frozen=True):
    """The data of a card's button that asks a question."""

    question: str = ""


class Chat(JobDefinition, Composed):
    kind = "chat"
    title = "Ask a question"
    deadline = timedelta(minutes=15)
    stop_cancels = True  # who stops the answer wants no more of it

    def recognises(self, text: str) -> bool:
        is_question = text.endswith("?") and " " in text  # "hello?" is a greeting
        return is_question or BEGINS.match(text) is not None

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("Let me think about that.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        if not question_of(job):
            return Failed(tell=Answer(NO_QUESTION))
        return Composing(progress=Progress(step="Thinking about it"))

    async def compose(self, job: Job, *, services: Services) -> AsyncIterator[str | Progress | Citation]:
        """The answer. A busy answerer is waited for while nothing is said yet: half an answer stays as it is.

        Raises ComposingFailed.
        """
        yield Progress(step="Thinking about it")
        for tries in range(1, MOST_TRIES + 1):
            is_silent = True
            try:
                async for piece in services.answerer.answer(question_of(job), asked_by=job.requested_by):
                    is_silent = False
                    yield piece
                if is_silent:
                    raise AnswererRefused("the answer is empty")
                return
            except AnswererRefused as error:
                raise ComposingFailed(Answer(REFUSED)) from error
            except AnswererUnusable as error:
                log.error("Questions cannot be answered: %s", error)
                raise ComposingFailed(Answer(OUT_OF_ORDER)) from error
            except AnswererBusy as error:
                if not is_silent or tries == MOST_TRIES or error.retry_after > LONGEST_WAIT:
                    log.warning("A question was not answered: %s", error)
                    raise ComposingFailed(Answer(BUSY)) from error
                wait = error.retry_after
            yield Progress(step="Too much is asked just now: I wait, and ask again")
            await services.clock.sleep(wait.total_seconds())

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        """Nothing is waited for: what there is to tell is composed."""
        return Failed(tell=self.failure(job))

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, I could not answer your question. Please ask it again.")


def question_of(job: Job) -> str:
    """The user's words, or the ``question`` of the button that was pressed; empty where there is none."""
    if isinstance(job.request, str):
        return job.request.strip()
    try:
        return msgspec.convert(job.request, AskedByButton).question.strip()
    except msgspec.ValidationError:
        return ""
