"""Functions and timers for the page: what they listen to, what they did of late, when they run next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import FunctionDefinition
from devhost.invocation.run_log import FunctionRuns, Run, RunLog
from devhost.timer.schedule import coming
from devhost.timer.timer_listener import TimerListener

_SHOWN_MOMENTS = 5


class FunctionPage:
    """Reads what the host's parts know."""

    def __init__(
        self,
        app: LoadedApp,
        run_log: RunLog,
        timers: Sequence[TimerListener],
        *,
        route_prefix: str,
        errors: Sequence[str] = (),
    ) -> None:
        self._app, self._run_log, self._timers, self._prefix = app, run_log, timers, route_prefix
        self._errors = errors

    def app_error(self) -> str:
        """Why no function of the app runs; empty when they do."""
        return "" if self._app.functions or self._app.refused else " ".join(self._errors)

    def functions(self) -> list[dict[str, Any]]:
        """Every function in the order of its name, those that were refused with the reason."""
        views = [self._function(function) for function in self._app.functions]
        views += [
            {
                "name": name,
                "trigger": "",
                "target": "",
                "state": "refused",
                "reason": reason,
                **_runs(FunctionRuns()),
            }
            for name, reason in self._app.refused.items()
        ]
        return sorted(views, key=lambda view: str(view["name"]).lower())

    def is_timer(self, name: str) -> bool:
        """Whether an enabled timer function has this name."""
        return any(timer.name.lower() == name.lower() for timer in self._timers)

    def timers(self, now: datetime) -> list[dict[str, Any]]:
        """Every timer with its schedule, its last run and its next ones."""
        return [_timer(timer, now) for timer in self._timers]

    def _function(self, function: FunctionDefinition) -> dict[str, Any]:
        return {
            "name": function.name,
            "trigger": function.trigger.type.removesuffix("Trigger"),
            "target": self._target(function),
            "state": "disabled" if function.is_disabled else "enabled",
            "reason": "",
            **_runs(self._run_log.of(function.name)),
        }

    def _target(self, function: FunctionDefinition) -> str:
        """What a function listens to, in one line."""
        properties = function.trigger.properties
        match function.trigger.type:
            case "httpTrigger":
                verbs = " ".join(properties.get("methods") or ())
                return f"{verbs} /{function.http_path(self._prefix)}".strip()
            case "queueTrigger":
                return str(properties.get("queueName", ""))
            case "timerTrigger":
                return str(properties.get("schedule", ""))
        return function.durable_name if function.durable_name != function.name else ""


def _runs(runs: FunctionRuns) -> dict[str, Any]:
    shown = [*reversed(runs.under_way.values()), *runs.ended]
    return {
        "underWay": len(runs.under_way),
        "succeeded": runs.succeeded,
        "failed": runs.failed,
        "runs": [_run(run) for run in shown[:20]],
    }


def _run(run: Run) -> dict[str, Any]:
    milliseconds = None if run.duration is None else round(run.duration * 1000, 1)
    return {"id": run.invocation_id, "started": run.started, "milliseconds": milliseconds, "error": run.error}


def _timer(timer: TimerListener, now: datetime) -> dict[str, Any]:
    status = timer.status
    following = status.next_run if status else None
    moments = coming(timer.schedule, following or now, _SHOWN_MOMENTS - (following is not None))
    return {
        "name": timer.name,
        "schedule": timer.expression,
        "zone": str(timer.zone),
        "isMonitored": timer.is_monitored,
        "last": _text(status.last) if status and status.last else None,
        "coming": [_text(moment) for moment in ([following] if following else []) + moments],
    }


def _text(moment: datetime) -> str:
    return moment.isoformat()
