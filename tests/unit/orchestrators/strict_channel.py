"""A channel that holds Teams' rules of streams on a stepped clock, at whose moments users do something."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from adapters.connector_answers import error_of, error_of_success
from adapters.in_memory import RecordingConnector, SteppedClock
from agent.conversation import Place
from agent.ports import Clock, Sent
from testconnector.streams import Streams, stream_info
from tests.devhost.simulation import START


class ActingClock(SteppedClock):
    """A clock at whose moments something is done: what the user or the channel does meanwhile."""

    def __init__(self) -> None:
        super().__init__(START)
        self.acts: list[tuple[datetime, Callable[[], Any]]] = []

    @property
    def next_act(self) -> datetime | None:
        return min((moment for moment, _ in self.acts), default=None)

    def step(self, by: timedelta) -> None:
        until = self.now() + by
        while (moment := self.next_act) is not None and moment <= until:
            (found, *_) = sorted(self.acts, key=lambda act: act[0])
            self.acts.remove(found)
            self._now = max(self._now, moment)
            found[1]()
        self._now = max(self._now, until)


class StrictConnector(RecordingConnector):
    """Holds the rules of streams. ``parts``: those that were taken, with their seconds, kind and text."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.streams = Streams(most=9, pace=1.0, longest=120.0)
        self.parts: list[tuple[float, str, str]] = []
        self._clock = clock

    @property
    def kinds(self) -> list[str]:
        return [kind for _, kind, _ in self.parts]

    @property
    def messages(self) -> list[str]:
        """What was sent beside the stream, in words."""
        plain = [call.body or {} for call in self.calls if call.method == "send"]
        return [
            str(body.get("text") or body.get("summary", "")) for body in plain if stream_info(body) is None
        ]

    @property
    def longest_silence(self) -> float:
        """Seconds, as long as the stream lasted."""
        return max(later - earlier for (earlier, *_), (later, *_) in pairwise(self.parts))

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        sent = await super().send(outgoing, at=at, reply_to_id=reply_to_id)
        info = stream_info(outgoing)
        if info is None:
            return sent
        seconds = (self._clock.now() - START).total_seconds()
        answer, stream_id = self.streams.take(
            outgoing,
            dict(info),
            conversation_id=at.conversation_id,
            is_personal=True,
            now=seconds,
            next_id=lambda: "s-1",
        )
        if answer.status >= 300:
            raise error_of(answer.status, answer.headers, answer.body, may_repeat=False)
        if error := error_of_success(answer.status, answer.headers, answer.body):
            raise error
        text = outgoing.get("text") or outgoing.get("summary", "")
        self.parts.append((seconds, info["streamType"], str(text)))
        return Sent(activity_id=stream_id, service_url=at.service_url)
