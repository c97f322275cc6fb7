"""A channel that holds Teams' rules of streams on the loop's own time, and a job whose answer is scripted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from adapters.connector_answers import error_of, error_of_success, json_object
from adapters.in_memory import InMemoryServices, RecordingConnector, SteppedClock
from agent.answer import Answer, Citation
from agent.conversation import Conversation, Place
from agent.job_entry import Progress
from agent.jobs.definition import Composing, Failed, Job, Outcome
from agent.ports import Sent, Services
from agent.view import View
from testconnector.streams import Streams, stream_info
from tests.unit.agent.stepped_loop import LoopClock
from tests.unit.turns import TENANT, USER

CHAT = Conversation(
    channel_id="msteams",
    conversation_id="a:chat",
    service_url="https://smba.example/amer/",
    conversation_type="personal",
    tenant_id=TENANT,
    aad_object_id=USER,
)


class _Clock(LoopClock, SteppedClock):
    """The loop's time, where a stepped clock is asked for."""


class StreamingChannel(RecordingConnector):
    """A Connector by the rules of ``testconnector.streams``: ``parts`` are those it took, with their seconds.

    ``takes``: seconds for an answer, in the middle of which a request is taken. ``errors``: as of
    RecordingConnector. ``lost``: of so many that it takes next the answer is lost.
    """

    def __init__(self, *, takes: float = 0.2) -> None:
        super().__init__()
        self.streams = Streams(most=9, pace=1.0, longest=120.0)
        self.parts: list[tuple[float, str, str]] = []
        self.messages: list[str] = []
        self.asked: list[float] = []
        self.lost: list[Exception] = []
        self.has_final = asyncio.Event()
        self._takes = takes
        self._names = count(1)

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        info = stream_info(outgoing)
        if info is not None:
            self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._takes / 2)
        sent = await super().send(outgoing, at=at, reply_to_id=reply_to_id)
        if info is None:
            self.messages.append(_words(outgoing))
        else:
            sent = Sent(activity_id=self._stream(outgoing, info, at), service_url=at.service_url)
        await asyncio.sleep(self._takes / 2)
        if self.lost:
            raise self.lost.pop(0)
        return sent

    def _stream(self, outgoing: dict[str, Any], info: dict[str, Any], at: Place) -> str | None:
        now = asyncio.get_running_loop().time()
        answer, _ = self.streams.take(
            outgoing,
            dict(info),
            conversation_id=at.conversation_id,
            is_personal=True,
            now=now,
            next_id=lambda: f"s-{next(self._names)}",
        )
        if answer.status >= 300:
            raise error_of(answer.status, answer.headers, answer.body, may_repeat=False)
        if error := error_of_success(answer.status, answer.headers, answer.body):
            raise error
        self.parts.append((now, info["streamType"], _words(outgoing)))
        if info["streamType"] == "final":
            self.has_final.set()
        told = json_object(answer.body).get("id")
        return told if isinstance(told, str) else None

    def kinds(self) -> list[tuple[str, str]]:
        """The parts without their time."""
        return [(kind, text) for _, kind, text in self.parts]


def _words(outgoing: dict[str, Any]) -> str:
    """The text, or what is said of a card without one."""
    return str(outgoing.get("text") or outgoing.get("summary", ""))


class StreamingServices(InMemoryServices):
    """All ports in memory, on the running loop's time; the channel streams."""

    def __init__(self) -> None:
        super().__init__(clock=_Clock())
        self.channel = StreamingChannel()
        self.connector = self.channel

    async def opened(self, words: str = "Let me see.") -> View:
        """The view of a stream that a turn has just opened, with its conversation known."""
        await self.conversations.heard(CHAT, at=self.clock.now())
        part = {"type": "typing", "text": words}
        info = {"type": "streaminfo", "streamType": "informative", "streamSequence": 1}
        sent = await self.channel.send({**part, "entities": [info]}, at=CHAT.place)
        now = self.clock.now()
        return View(
            kind="stream", opened_at=now, shown_at=now, activity_id=sent.activity_id, sequence=1, shown=words
        )


Piece = str | Progress | Citation | Exception


class Told:
    """A job that composes what its ``script`` says: seconds, and the piece that comes after them."""

    kind = "told"
    title = "Tell"

    def __init__(
        self,
        *script: tuple[float, Piece],
        stop_cancels: bool = True,
        deadline: timedelta = timedelta(minutes=15),
    ) -> None:
        self.script = script
        self.stop_cancels = stop_cancels
        self.deadline = deadline
        self.ended_at: list[datetime] = []  # each run, however it ended

    def recognises(self, text: str) -> bool:
        return False

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("Let me see.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        return Composing()

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        return Failed(tell=self.failure(job))

    async def compose(self, job: Job, *, services: Services) -> AsyncIterator[str | Progress | Citation]:
        try:
            for seconds, piece in self.script:
                await services.clock.sleep(seconds)
                if isinstance(piece, Exception):
                    raise piece
                yield piece
        finally:
            self.ended_at.append(services.clock.now())

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry.")
