"""The time that one turn has: the user is told by its end, and the channel is answered soon after."""

from datetime import UTC, datetime, timedelta

import msgspec

from agent.incoming import IncomingActivity

# The channel gives up a turn after 15 s, counted from its request.
CHANNEL_WAITS = timedelta(seconds=14)
SHORTEST = timedelta(seconds=3)
REPLY_TAKES = timedelta(seconds=1)  # as a rule
AFTER_THE_REPLY = timedelta(seconds=3)
TELLING_TROUBLE_TAKES = timedelta(seconds=0.5)  # as a rule
LATE_SPEAKS_AFTER = timedelta(seconds=6)  # by then a call of a table that hangs is over
LEAST_SECONDS = 1.0  # for a step of a turn that came so late that its time is over
LAST_STEPS_TAKE = timedelta(seconds=2)  # of a delivery, at most: to tell of trouble, to release the claim


class TurnBudget(msgspec.Struct, frozen=True, kw_only=True):
    """``acknowledge_by``: by when the user is told something; ``ends_at``: when the turn is given up.

    ``speaks_by``: when it is given up if nothing that it says is on its way by then; its user is told of the
    trouble instead. ``channel_ends_at``: when the channel gives this delivery up, if it was sent just before
    it arrived.
    """

    acknowledge_by: datetime
    speaks_by: datetime
    ends_at: datetime
    channel_ends_at: datetime

    @property
    def waits_until(self) -> datetime:
        """How long a result is waited for, so that there is time to say that it takes longer."""
        return self.acknowledge_by - REPLY_TAKES

    @property
    def of_redelivery(self) -> "TurnBudget":
        """The budget of a turn that was delivered before: its user has waited long enough, and the channel
        waits anew, whatever the activity's timestamp says."""
        return msgspec.structs.replace(
            self, speaks_by=self.channel_ends_at - LAST_STEPS_TAKE, ends_at=self.channel_ends_at
        )


def budget_of(incoming: IncomingActivity, *, arrived: datetime, lasts: timedelta) -> TurnBudget:
    """The turn's budget: ``lasts`` from the time that the channel put on the activity.

    The way to us can take seconds. A clock that is ahead of ours gives no time that the channel would not.
    """
    said = min(_time(incoming.timestamp) or arrived, arrived)
    acknowledge_by = max(said + lasts, arrived + SHORTEST)
    is_late = acknowledge_by > said + lasts  # its user has waited long enough, and an answer is worth more
    channel_ends_at = arrived + CHANNEL_WAITS
    ends_at = channel_ends_at if is_late else min(acknowledge_by + AFTER_THE_REPLY, channel_ends_at)
    speaks_by = arrived + LATE_SPEAKS_AFTER if is_late else acknowledge_by - TELLING_TROUBLE_TAKES
    return TurnBudget(
        acknowledge_by=acknowledge_by,
        speaks_by=speaks_by if incoming.type == "message" else ends_at,  # others cannot be told of trouble
        ends_at=ends_at,
        channel_ends_at=channel_ends_at,
    )


def seconds_until(time: datetime, now: datetime, *, at_least: float = 0.0) -> float:
    return max((time - now).total_seconds(), at_least)


def _time(told: object) -> datetime | None:
    """The time that an activity tells; None where it tells none that can be read."""
    try:
        time = msgspec.convert(told, datetime)
    except msgspec.ValidationError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
