"""Runs an orchestrator's actions one after the other, as the extension's shim does, against a replay."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from devhost.durable.decision import OrchestrationFault
from devhost.durable.history import parse_utc
from devhost.durable.http_polling import HttpPolling
from devhost.durable.orchestrator_reply import ActionType
from devhost.durable.replay_context import ReplayContext
from devhost.durable.replay_task import ReplayTask, done

Action = dict[str, Any]


class ActionReplay:
    """The list of actions, and how far it was followed."""

    def __init__(self, actions: list[Action], context: ReplayContext, http: HttpPolling) -> None:
        self._actions, self._context, self._http = actions, context, http
        self._position = 0
        self.has_ended = False
        self._ways: dict[int, Callable[[Action], ReplayTask]] = {
            ActionType.CALL_ACTIVITY: self._call_activity,
            ActionType.CALL_ACTIVITY_WITH_RETRY: partial(self._with_retry, self._call_activity),
            ActionType.CALL_SUB_ORCHESTRATOR: self._call_sub_orchestrator,
            ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY: partial(
                self._with_retry, self._call_sub_orchestrator
            ),
            ActionType.CONTINUE_AS_NEW: self._continue_as_new,
            ActionType.CREATE_TIMER: self._create_timer,
            ActionType.WAIT_FOR_EXTERNAL_EVENT: self._wait_for_event,
            ActionType.CALL_ENTITY: partial(self._send_to_entity, is_signal=False),
            ActionType.SIGNAL_ENTITY: partial(self._send_to_entity, is_signal=True),
            ActionType.CALL_HTTP: self._call_http,
            ActionType.WHEN_ANY: partial(self._invoke_together, wait_for_all=False),
            ActionType.WHEN_ALL: partial(self._invoke_together, wait_for_all=True),
        }

    def advance(self) -> None:
        """Invoke actions until one is to be waited for, and go on when that ends."""
        while self._position < len(self._actions):
            task = self._invoke(self._actions[self._position])
            self._position += 1
            if not task.is_done:
                task.then(self.advance)
                return
        self.has_ended = True

    def _invoke(self, action: Action) -> ReplayTask:
        kind = action.get("actionType")
        invoke = self._ways.get(kind) if isinstance(kind, int) else None
        if invoke is None:
            raise OrchestrationFault(f"devhost does not know the orchestration action {kind}.")
        return invoke(action)

    def _call_activity(self, action: Action) -> ReplayTask:
        return self._context.schedule(action["functionName"], action.get("input"))

    def _call_sub_orchestrator(self, action: Action) -> ReplayTask:
        instance_id = str(action.get("instanceId") or "").strip()
        return self._context.start_child(action["functionName"], action.get("input"), instance_id)

    def _create_timer(self, action: Action) -> ReplayTask:
        fire_at = parse_utc(action["fireAt"])
        return self._context.create_timer(fire_at, is_cancelled=bool(action.get("isCanceled")))

    def _wait_for_event(self, action: Action) -> ReplayTask:
        return self._context.wait_for_event(action["externalEventName"])

    def _continue_as_new(self, action: Action) -> ReplayTask:
        self._context.continue_as_new(action.get("input"))
        return done()

    def _call_http(self, action: Action) -> ReplayTask:
        return self._http.send(action["httpRequest"])

    def _send_to_entity(self, action: Action, *, is_signal: bool) -> ReplayTask:
        return self._context.send_to_entity(
            action["instanceId"], action["operation"], action.get("input"), is_signal=is_signal
        )

    def _with_retry(self, call: Callable[[Action], ReplayTask], action: Action) -> ReplayTask:
        options = action["retryOptions"]
        attempts = int(options["maxNumberOfAttempts"])
        interval = timedelta(milliseconds=float(options["firstRetryIntervalInMilliseconds"]))
        whole = ReplayTask()

        def attempt(number: int) -> None:
            task = call(action)
            task.then(lambda: after(task, number))

        def after(task: ReplayTask, number: int) -> None:
            if not task.failed:
                whole.end()
                return
            # The timer after the last attempt is due at once; it exists because the SDK counts an id for it.
            is_last = number >= attempts
            now = self._context.now
            timer = self._context.create_timer(now if is_last else now + interval)
            timer.then(lambda: whole.end(failed=True) if is_last else attempt(number + 1))

        attempt(1)
        return whole

    def _invoke_together(self, action: Action, *, wait_for_all: bool) -> ReplayTask:
        whole = ReplayTask()
        children = [self._invoke(child) for child in action["compoundActions"]]
        left = len(children)

        def child_ended() -> None:
            nonlocal left
            left -= 1
            if not wait_for_all or left == 0:
                whole.end()

        if not children:
            whole.end()
        for child in children:
            child.then(child_ended)
        return whole

    def hint(self) -> str:
        """Advice about the one way for a deterministic orchestrator to meet a history that does not fit."""
        retries = (ActionType.CALL_ACTIVITY_WITH_RETRY, ActionType.CALL_SUB_ORCHESTRATOR_WITH_RETRY)
        for action in self._actions:
            inside = list(_nested(action))
            has_retry = any(part.get("actionType") in retries for part in inside)
            if has_retry and any(part.get("isCanceled") for part in inside):
                return (
                    " A timer that is cancelled after task_any with a call that is retried does this, as on"
                    " Azure: let the timer run, or retry in the orchestrator itself."
                )
        return ""


def _nested(action: Action) -> Iterator[Action]:
    yield action
    for child in action.get("compoundActions") or ():
        yield from _nested(child)
