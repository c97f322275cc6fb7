"""Finds in the hub what a dispatcher does not know of: at its start, and what other processes put there."""

from devhost.durable.records import Committed
from devhost.durable.task_hub import TaskHub


class NewWork:
    """Remembers how far it has looked, so that what waits for its time is not hurried by each new look."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub
        self._activity = self._message = self._request = 0  # the highest ids that were found
        self._is_changed = False

    def look(self) -> Committed:
        """All work that came since the last look."""
        hub = self._hub
        message, request = hub.newest_message_ids()
        activities = hub.pending_activity_ids(after=self._activity)
        found = Committed(
            activities,
            hub.waiting_instances(after=self._message),
            hub.waiting_entities(after=self._request),
            has_timers=True,
        )
        self._activity = max([self._activity, *activities[-1:]])
        self._message, self._request = max(self._message, message), max(self._request, request)
        return found

    def look_when_changed(self) -> Committed:
        """The work that came since the last look when another process has written into the hub, else none."""
        self._is_changed = self._hub.was_changed_elsewhere() or self._is_changed
        if not self._is_changed:
            return Committed()
        found = self.look()
        self._is_changed = False  # only now: a look that fails is to be repeated
        return found
