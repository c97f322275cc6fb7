"""The rules of streamed messages (Teams documentation, "Stream bot messages"), held as Teams holds them."""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from testconnector.answers import Answer, error_answer, json_answer, named_error

LONGEST_INFORMATIVE = 1000
ALREADY_COMPLETED = "Content stream is not allowed on an already completed streamed message."
OVER_TIME = "Content stream finished due to exceeded streaming time."
CANCELLED = "Content stream was canceled by user."
NOT_PERSONAL = "Content stream is allowed in personal chats only."


@dataclass(slots=True)
class Stream:
    """One streamed message: what it has come to."""

    stream_id: str
    conversation_id: str
    began_at: float
    last_at: float
    sequence: int
    text: str = ""  # what was streamed last, which is all so far
    ended: str = ""  # why nothing more is taken
    longest_gap: float = 0.0  # seconds between two parts that were taken

    def heard(self, now: float) -> None:
        """One more part was taken."""
        self.longest_gap = max(self.longest_gap, now - self.last_at)
        self.last_at = now

    def shown(self) -> dict[str, Any]:
        return {
            "streamId": self.stream_id,
            "conversation": self.conversation_id,
            "sequence": self.sequence,
            "text": self.text,
            "ended": self.ended,
            "lasted": round(self.last_at - self.began_at, 3),
            "longestGap": round(self.longest_gap, 3),
        }


def stream_info(outgoing: dict[str, Any]) -> dict[str, Any] | None:
    """The entity that makes an activity a part of a stream."""
    entities = outgoing.get("entities")
    if not isinstance(entities, list):
        return None
    for entity in entities:
        if isinstance(entity, dict) and entity.get("type") == "streaminfo":
            return entity
    return None


def _invalid(message: str) -> Answer:
    return named_error("BadArgument", message)


def _not_allowed(message: str) -> Answer:
    return named_error("ContentStreamNotAllowed", message)


class Streams:
    """The ``most`` streams that were begun last. ``pace``: seconds that must lie between two requests of a
    stream, 0 where that is not asked; ``longest``: seconds that a stream may last."""

    def __init__(self, *, most: int, pace: float = 0.0, longest: float = 120.0) -> None:
        self._most = most
        self._pace = pace
        self._longest = longest
        self._kept: OrderedDict[str, Stream] = OrderedDict()
        self.refusals: OrderedDict[str, int] = OrderedDict()

    def __iter__(self) -> Any:
        return iter(self._kept.values())

    def cancel(self, conversation_id: str) -> int:
        """The user presses Stop: what is being streamed there ends. How many streams that were."""
        running = [s for s in self._kept.values() if s.conversation_id == conversation_id and not s.ended]
        for stream in running:
            stream.ended = CANCELLED
        return len(running)

    def take(
        self,
        outgoing: dict[str, Any],
        info: dict[str, Any],
        *,
        conversation_id: str,
        is_personal: bool,
        now: float,
        next_id: Callable[[], str],
    ) -> tuple[Answer, str | None]:
        """The answer to one part of a stream, and the activity's id if the part was accepted."""
        refusal = _malformed(outgoing, info) if is_personal else _not_allowed(NOT_PERSONAL)
        stream_id = info.get("streamId")
        if refusal is None and not stream_id:
            begun = self._begin(info, outgoing, conversation_id=conversation_id, now=now, stream_id=next_id())
            if isinstance(begun, Stream):
                return json_answer(201, {"id": begun.stream_id}), begun.stream_id
            refusal = begun
        if refusal is None:
            stream = self._kept.get(str(stream_id))
            if stream is None or stream.conversation_id != conversation_id:
                refusal = _invalid("There is no such stream in this conversation.")
            else:
                refusal = self._continue(stream, info, outgoing, now=now)
        if refusal is not None:
            said = _said(refusal)
            self.refusals[said] = self.refusals.get(said, 0) + 1
            return refusal, None
        return json_answer(202, {}), str(stream_id)

    def _begin(
        self,
        info: dict[str, Any],
        outgoing: dict[str, Any],
        *,
        conversation_id: str,
        now: float,
        stream_id: str,
    ) -> Stream | Answer:
        if info["streamType"] == "final":
            return _invalid("A final message needs the streamId of what was streamed.")
        if info["streamSequence"] != 1:
            return _invalid("A stream begins with the streamSequence 1.")
        stream = Stream(stream_id, conversation_id, now, now, 1)
        if info["streamType"] == "streaming":
            stream.text = outgoing["text"]
        if len(self._kept) >= self._most:
            self._kept.popitem(last=False)
        self._kept[stream_id] = stream
        return stream

    def _continue(
        self, stream: Stream, info: dict[str, Any], outgoing: dict[str, Any], *, now: float
    ) -> Answer | None:
        if not stream.ended and now - stream.began_at > self._longest:
            stream.ended = OVER_TIME
        if stream.ended:
            return _not_allowed(stream.ended)
        if self._pace and now - stream.last_at < self._pace:
            return named_error("Throttled", "API calls quota exceeded.", {"Retry-After": "1"})
        if info["streamType"] == "final":
            if not outgoing.get("text", "").startswith(stream.text):
                return _invalid("The final text does not begin with what was streamed.")
            stream.ended = ALREADY_COMPLETED
            stream.text = outgoing.get("text", "")
            stream.heard(now)
            return None
        if info["streamSequence"] <= stream.sequence:
            # A success code, and the part is dropped.
            code = "ContentStreamSequenceOrderPreConditionFailed"
            return error_answer(202, code, "PreCondition failed when processing a streaming activity.")
        stream.sequence = info["streamSequence"]
        stream.heard(now)
        if info["streamType"] == "streaming":
            stream.text = outgoing["text"]
        return None


def _malformed(outgoing: dict[str, Any], info: dict[str, Any]) -> Answer | None:
    """What can be said without knowing the stream."""
    problem = next(_problems(outgoing, info), None)
    return None if problem is None else _invalid(problem)


def _problems(outgoing: dict[str, Any], info: dict[str, Any]) -> Iterator[str]:
    kind = info.setdefault("streamType", "streaming")
    sequence, text = info.get("streamSequence"), outgoing.get("text")
    if kind not in ("informative", "streaming", "final"):
        yield "streamType is none of informative, streaming and final."
    if outgoing.get("type") != ("message" if kind == "final" else "typing"):
        yield "A final part is of the type message, the others are of the type typing."
    if kind == "final":
        yield from _problems_of_final(outgoing, sequence)
        return
    if not isinstance(text, str) or not text:
        yield "Start streaming activities should include text"
    elif kind == "informative" and len(text) > LONGEST_INFORMATIVE:
        yield f"An informative text has {LONGEST_INFORMATIVE} characters at most."
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 1:
        yield "streamSequence is no number from 1."


def _problems_of_final(outgoing: dict[str, Any], sequence: Any) -> Iterator[str]:
    if sequence is not None:
        yield "A final message has no streamSequence."
    if not isinstance(outgoing.get("text", ""), str):
        yield "The text is no text."
    if not outgoing.get("text") and not outgoing.get("attachments"):
        yield "A final message is empty."


def _said(refusal: Answer) -> str:
    return f"{refusal.status} {refusal.body.decode()}"
