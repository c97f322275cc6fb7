"""The Answerer port where there is no language model: a local stand-in, and what says that there is none."""

import re
from collections.abc import AsyncIterator

import msgspec

from agent.answer import Citation
from agent.conversation import Conversation
from agent.ports import AnswererRefused, AnswererUnusable, Clock

SECONDS_A_WORD = 0.08
PIECE = re.compile(r"\S+\s*")
STAND_IN = "I am a stand-in without a language model: I know a few things about this app, and nothing else."


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """What the stand-in says to a question in which ``asked`` is found, and the document that says it."""

    asked: re.Pattern[str]
    says: str
    source: str

    @property
    def citation(self) -> Citation:
        return Citation(title=self.source, abstract=self.says)


def _fact(asked: str, says: str, *, source: str) -> Fact:
    return Fact(asked=re.compile(asked, re.IGNORECASE), says=says, source=source)


FACTS = (
    _fact(
        r"\b(what|which).* (can|do) (you|i)\b|\bhelp\b",
        "You ask for a job in your own words, such as 'order a laptop': it goes on in the background, and you"
        " are told as soon as there is news.",
        source="docs/how-it-works.md",
    ),
    _fact(
        r"\b(cancel|stop|undo|abort)",
        "Say 'cancel', or press Cancel on the card that 'status' shows: the job undoes what it began, where"
        " that is still possible.",
        source="docs/jobs.md, Cancelling",
    ),
    _fact(
        r"\b(status|progress|how (far|long)|when)\b",
        "Say 'status' to see your jobs, with the progress that each reports.",
        source="docs/jobs.md, Progress",
    ),
    _fact(
        r"\b(crash|restart|lost|lose|reliab|durabl)",
        "A job is stored durably before it is acknowledged, so it outlives a crash or a restart of the host.",
        source="docs/how-it-works.md",
    ),
    _fact(
        r"\b(notif|proactive|queue|unasked)",
        "Another system puts a message on the storage queue, or posts it to /api/notifications, and the"
        " user is told.",
        source="README.md, Speak unasked",
    ),
    _fact(
        r"\b(model|llm|ai|openai|azure|questions?)\b",
        "A language model answers questions as soon as the settings AnswererModel, AnswererUrl and"
        " AnswererKey name one.",
        source="docs/settings.md",
    ),
)


class LocalAnswerer:
    """Says the facts that fit the question, word by word, and that it is a stand-in. It asks nobody."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    async def answer(self, question: str, *, asked_by: Conversation) -> AsyncIterator[str | Citation]:
        if not question.strip():
            raise AnswererRefused("there is no question")
        facts = [fact for fact in FACTS if fact.asked.search(question)]
        said = [f"{fact.says[:-1]} [{number}]." for number, fact in enumerate(facts, start=1)]
        nothing = [] if facts else ["To that I know no answer."]
        for piece in PIECE.findall("\n\n".join([*said, *nothing, STAND_IN])):
            yield piece
            await self._clock.sleep(SECONDS_A_WORD)
        for fact in facts:
            yield fact.citation


class NoAnswerer:
    """Where no answerer is set up: every question says so."""

    async def answer(self, question: str, *, asked_by: Conversation) -> AsyncIterator[str | Citation]:
        if not question.strip():
            raise AnswererRefused("there is no question")
        raise AnswererUnusable("the app setting AnswererModel is not set")
        yield ""  # which makes it a generator, as the port wants it
