"""Runs an activity of the task hub and puts its result there."""

import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime

from devhost.durable.activity import (
    activity_value,
    answered_event,
    completed_event,
    failed_event,
    unanswered_event,
)
from devhost.durable.episode import DurableFunctions
from devhost.durable.group_commit import GroupCommit
from devhost.durable.history import Event
from devhost.durable.http_activity import HttpActivity
from devhost.durable.http_call import HTTP_ACTIVITY, HttpCallFailed
from devhost.durable.records import ActivityWork
from devhost.durable.task_hub import TaskHub
from devhost.invocation.invoker import InvocationResult, Invoker
from devhost.storable_text import describe

logger = logging.getLogger("devhost")


class ActivityMissing(Exception):
    """The app has no such activity now; it waits in the hub until it has. The text is its name."""


class ActivityRun:
    """Takes activities from the hub by their ids."""

    def __init__(
        self,
        hub: TaskHub,
        commits: GroupCommit,
        functions: DurableFunctions,
        invoker: Invoker,
        clock: Callable[[], datetime],
        http: HttpActivity,
    ) -> None:
        self._hub, self._commits, self._clock = hub, commits, clock
        self._functions, self._invoker, self._http = functions, invoker, http

    async def run(self, activity_id: int) -> str | None:
        """Run it and return the id of its instance, or None when it was purged meanwhile.

        Raises ActivityMissing.
        """
        work = self._hub.activity(activity_id)
        if work is None:
            return None
        if work.name == HTTP_ACTIVITY:
            answered = await self._call_http(work)
            await self._commits.write(lambda: self._hub.complete_activity(work, answered))
            return work.instance_id
        function = self._functions.activities.get(work.name.lower())
        if function is None:
            raise ActivityMissing(work.name)
        await self._store(work, await self._invoker.invoke(function, activity_value(work.input_text)))
        return work.instance_id

    async def _call_http(self, work: ActivityWork) -> Event:
        try:
            answer = await self._http.run(work.input_text)
        except HttpCallFailed as failure:
            logger.error("An HTTP request of orchestration %s failed: %s", work.instance_id, failure)
            return unanswered_event(work, failure, self._clock())
        return answered_event(work, answer, self._clock())

    async def _store(self, work: ActivityWork, result: InvocationResult) -> None:
        def complete() -> None:
            self._hub.complete_activity(work, completed_event(work, result, self._clock()))

        try:
            await self._commits.write(complete)
        except sqlite3.OperationalError:
            raise  # a full disk or a locked file: another time it may work
        except Exception as error:  # a result that no store takes: to run the activity again is no use
            logger.exception("The result of an activity of orchestration %s is lost", work.instance_id)
            reason = f"devhost cannot store the result: {describe(error)}"
            self._hub.complete_activity(work, failed_event(work, reason, "", self._clock()))
