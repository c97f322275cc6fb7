"""The Answerer port on chat completions: those of OpenAI, of Azure OpenAI, and all that speak the same."""

import json
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from typing import Any

import msgspec
import openai
from openai import AsyncOpenAI, AsyncStream, Timeout
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam
from openai.types.chat.chat_completion_chunk import Choice

from adapters.answerer_errors import CUT_OFF, error_of
from agent.answer import Citation
from agent.conversation import Conversation
from agent.job_entry import owner_key
from agent.ports import AnswererBusy, AnswererRefused

OPENAI_URL = "https://api.openai.com/v1"
# A model that reasons may be silent for long before its first word; between two words it never is.
SILENCE = Timeout(60.0, connect=5.0)
ANSWER_LASTS = timedelta(minutes=3)  # of the five that a function has (host.json, functionTimeout)
INSTRUCTIONS = (
    "You answer questions of people at work, in a chat. Answer in the language of the question, in short and"
    " plain sentences, with simple Markdown where it helps. If you do not know, or if the question is"
    " unclear, say so."
)


class UrlCitation(msgspec.Struct, frozen=True):
    """A page that a model with web search names as its source."""

    url: str
    title: str = ""


class Annotation(msgspec.Struct, frozen=True, tag_field="type", tag="url_citation"):
    """What the API writes beside a piece of text, as far as we use it."""

    url_citation: UrlCitation


class OpenAIAnswerer:
    """One object a process: its connections are shared by all questions."""

    def __init__(
        self,
        *,
        model: str,
        key: str,
        base_url: str = "",
        timeout: Timeout = SILENCE,
        lasts: timedelta = ANSWER_LASTS,
    ) -> None:
        # The library's HTTP client logs every request as information, which is paid for line by line.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._model = model
        self._lasts = lasts
        self._client = AsyncOpenAI(
            base_url=base_url or OPENAI_URL,
            api_key=key or "none",  # a server of one's own may want none; the library wants one
            timeout=timeout,
            max_retries=0,  # who asks waits and says so: the library would wait for two minutes, in silence
        )

    async def answer(self, question: str, *, asked_by: Conversation) -> AsyncIterator[str | Citation]:
        if not question.strip():
            raise AnswererRefused("there is no question")
        ends_at = time.monotonic() + self._lasts.total_seconds()
        try:
            async with (
                await self._asked(question, asked_by=asked_by) as stream,
                aclosing(_pieces(stream, ends_at=ends_at)) as pieces,
            ):
                async for piece in pieces:
                    yield piece
        except openai.APIError as error:
            raise error_of(error) from error
        except json.JSONDecodeError as error:  # which the library lets through
            raise AnswererBusy("the answer is no stream of JSON", retry_after=CUT_OFF) from error

    async def close(self) -> None:
        await self._client.close()

    async def _asked(self, question: str, *, asked_by: Conversation) -> AsyncStream[ChatCompletionChunk]:
        said: list[ChatCompletionMessageParam] = [
            {"role": "system", "content": INSTRUCTIONS},
            {"role": "user", "content": question},
        ]
        # The user's key is a hash: it tells users apart, and not who they are.
        return await self._client.chat.completions.create(
            model=self._model, messages=said, stream=True, user=owner_key(asked_by)
        )


async def _pieces(
    stream: AsyncStream[ChatCompletionChunk], *, ends_at: float
) -> AsyncGenerator[str | Citation, None]:
    """What the chunks say. Raises AnswererRefused, and AnswererBusy where they end before the answer does."""
    ended, cited = "", set()
    async for chunk in stream:
        for choice in chunk.choices or ():  # none in chunks that tell of usage and filters
            if choice.delta.refusal or choice.finish_reason == "content_filter":
                raise AnswererRefused("the model, or its content filter, refused to answer")
            if choice.delta.content:
                yield choice.delta.content
            for citation in _citations(choice):
                if citation.url not in cited:
                    cited.add(citation.url)
                    yield citation
            ended = choice.finish_reason or ended
        if time.monotonic() > ends_at:
            break
    if not ended:
        raise AnswererBusy("the answer broke off, or took too long", retry_after=CUT_OFF)
    if ended == "length":
        yield " …"


def _citations(choice: Choice) -> list[Citation]:
    """The sources beside a piece: what is none that we know, or that can be shown, is left out."""
    found = []
    for beside in _annotations(choice.delta.model_extra or {}):
        try:
            source = msgspec.convert(beside, Annotation).url_citation
            found.append(Citation(title=source.title.strip() or source.url, url=source.url))
        except (msgspec.ValidationError, ValueError):
            continue
    return found


def _annotations(extra: dict[str, Any]) -> list[Any]:
    beside = extra.get("annotations")
    return beside if isinstance(beside, list) else []
