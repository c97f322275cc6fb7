"""Where a job is shown while it runs: what has become of what the turn began with its acknowledgement."""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from agent.job_entry import Progress
from agent.stream import OpenStream

ViewKind = Literal["stream", "card", "messages"]
WhyEnded = Literal["stopped", "over", "completed", "refused"]

# A stream that is silent for 45 s is shown as broken off. Durable timers come late by as much as the host's
# maxQueuePollingInterval, and the work of others: so updates are aimed well before.
UPDATE_AFTER = timedelta(seconds=25)
# Teams ends a stream after two minutes.
CLOSE_AFTER, STREAM_LASTS = timedelta(seconds=100), timedelta(minutes=2)


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a job is shown. It crosses the task hub, and is kept in the claim of the turn that opened it.

    ``stream``: a streamed message, ``activity_id`` its stream's id, ``sequence`` its last update's number,
    ``streamed`` the answer's text so far; ``card``: a card that is updated in place, ``activity_id`` its own;
    ``messages``: a message for each news, ``sequence`` of them. ``opened_at``: when it began; ``shown_at``
    and ``shown``: when it was last moved on, and with what words. ``progress``: the last that is shown, or
    need not be. ``moves_on_at``: when a stream is to be updated or closed, if nothing happens before; it is
    kept here, for orchestrations in flight decide by it. ``ended``: why nothing more is shown in it; ""
    while it is. ``cancels_job``: its user ended it, and the job with it.
    """

    kind: ViewKind
    opened_at: datetime
    shown_at: datetime
    activity_id: str | None = None
    sequence: int = 0
    shown: str = ""
    streamed: str = ""
    progress: Progress | None = None
    moves_on_at: datetime | None = None
    ended: WhyEnded | Literal[""] = ""
    cancels_job: bool = False

    @property
    def open_stream(self) -> OpenStream | None:
        """The stream, while it takes updates and its final."""
        if self.kind != "stream" or self.ended or not self.activity_id:
            return None
        return OpenStream(stream_id=self.activity_id, text=self.streamed, shown_at=self.shown_at)

    @property
    def is_streaming(self) -> bool:
        return self.open_stream is not None
