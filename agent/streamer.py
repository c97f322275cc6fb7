"""One stream of a view, moved on: numbered, no faster than Teams takes it, and with what its answers mean."""

from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from agent.conversation import Place
from agent.ports import (
    ChannelBusy,
    ChannelError,
    Clock,
    Connector,
    DeliveryAmbiguous,
    StreamEnded,
    StreamPartDropped,
)
from agent.stream import PACE, final, informative, streaming
from agent.view import View

UpdateKind = Literal["informative", "streaming"]


class Streamer:
    """Holds the stream of ``view``, which is always as the stream was left.

    ``view.shown`` and ``shown_at`` tell what is known to be shown. Nothing is raised that the channel says:
    while it is busy (``busy_until``) an update is left out; what it refuses, or that the stream has ended, is
    ``view.ended``.
    """

    def __init__(self, view: View, *, at: Place, connector: Connector, clock: Clock) -> None:
        self.view = view
        self._at = at
        self._connector = connector
        self._clock = clock
        self._answered_at = view.shown_at
        self.busy_until: datetime | None = None

    async def pace(self) -> None:
        """Wait until the stream takes its next request."""
        wait = self._answered_at + PACE - self._clock.now()
        if wait > timedelta(0):
            await self._clock.sleep(wait.total_seconds())

    async def show(self, text: str, kind: UpdateKind) -> View:
        """Make the next update, ``streaming`` with all of the answer's text so far; the view after it."""
        stream = self.view.open_stream
        if stream is None or self._is_busy:
            return self.view
        sequence = self.view.sequence + 1
        if kind == "informative":
            update, streamed = informative(text, stream_id=stream.stream_id, sequence=sequence), stream.text
        else:
            update, streamed = streaming(text, stream_id=stream.stream_id, sequence=sequence), text
        try:
            await self._send(update)
        except (DeliveryAmbiguous, StreamPartDropped):
            # It may be in the stream, or another with its number: the next is numbered on, and tells more.
            self._change(sequence=sequence, streamed=streamed)
        except ChannelError as error:
            self._heed(error)
        else:
            self._change(sequence=sequence, streamed=streamed, shown=text, shown_at=self._answered_at)
        return self.view

    async def close(self, outgoing: dict[str, Any]) -> View:
        """End the stream with this message, whose text begins with what was streamed; the view after it.

        While the view has not ended the channel is busy, or gave no answer: call it again.
        """
        stream = self.view.open_stream
        if stream is None or self._is_busy:
            return self.view
        try:
            await self._send(final(outgoing, stream_id=stream.stream_id))
        except DeliveryAmbiguous:
            pass  # made again it is either taken, or refused as completed
        except ChannelError as error:
            self._heed(error)
        else:
            self._change(ended="completed", shown=outgoing.get("text", ""), shown_at=self._answered_at)
        return self.view

    @property
    def _is_busy(self) -> bool:
        return self.busy_until is not None and self._clock.now() < self.busy_until

    async def _send(self, outgoing: dict[str, Any]) -> None:
        await self.pace()
        try:
            await self._connector.send(outgoing, at=self._at)
        finally:
            self._answered_at = self._clock.now()

    def _heed(self, error: ChannelError) -> None:
        if isinstance(error, ChannelBusy):
            self.busy_until = self._clock.now() + error.retry_after
        else:
            self._change(ended=error.why if isinstance(error, StreamEnded) else "refused")

    def _change(self, **fields: Any) -> None:
        self.view = msgspec.structs.replace(self.view, **fields)
