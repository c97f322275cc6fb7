"""What host.json says about the host as a whole: the task hub's name, limits, the functions to run."""

import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from typing import Any

from devhost.app_settings import resolve_tokens
from devhost.durable.dispatcher import Concurrency, usual_concurrency
from devhost.durable.durable_settings import http_pause, most_operations, replaces_active, uses_forwarded_host
from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.http.http_settings import HttpSettings, read_http_settings
from devhost.queue.queue_settings import QueueSettings, read_queue_settings
from devhost.timer.time_zone import schedule_time_zone
from devhost.timespan import parse_timespan


@dataclass(frozen=True, slots=True)
class HostSettings:
    """host.json, read and checked. `functions` are those to run, none for all; no `timeout` is no limit."""

    functions: list[str]
    hub_name: str
    queues: QueueSettings
    http: HttpSettings
    extension_bundle: Any
    timeout: timedelta | None
    zone: tzinfo
    most: Concurrency
    replaces_active: bool
    uses_forwarded_host: bool
    most_operations: int
    http_pause: timedelta

    @classmethod
    def read(cls, host_json: HostJson) -> "HostSettings":
        """Raises HostStartError with the first value that does not do."""
        return cls(
            functions=host_json.get_texts("functions"),
            hub_name=hub_name(host_json),
            queues=read_queue_settings(host_json),
            http=read_http_settings(host_json),
            extension_bundle=host_json.get("extensionBundle"),
            timeout=function_timeout(host_json),
            zone=schedule_time_zone(),
            most=Concurrency(
                most_at_once(host_json, "maxConcurrentOrchestratorFunctions"),
                most_at_once(host_json, "maxConcurrentActivityFunctions"),
                most_at_once(host_json, "maxConcurrentEntityFunctions"),
            ),
            replaces_active=replaces_active(host_json),
            uses_forwarded_host=uses_forwarded_host(host_json),
            most_operations=most_operations(host_json),
            http_pause=http_pause(host_json),
        )


def hub_name(host_json: HostJson) -> str:
    """Name of the task hub. Raises HostStartError when it does not resolve or is no name."""
    given = (
        host_json.get("extensions.durableTask.hubName")
        or os.environ.get("WEBSITE_SITE_NAME")
        or "TestHubName"
    )
    try:
        name = resolve_tokens(str(given))
    except ValueError as error:
        raise HostStartError(f"host.json: extensions.durableTask.hubName: {error}") from None
    if not (name.isascii() and name.isalnum() and name[0].isalpha() and 3 <= len(name) <= 45):
        raise HostStartError(
            f"Task hub name '{name}' should contain only alphanumeric characters excluding '-', "
            "start with a letter, and have a length between 3 and 45."
        )
    return name


def most_at_once(host_json: HostJson, key: str) -> int:
    """How many durable functions of one kind run at once. Raises HostStartError."""
    return host_json.get_int(f"extensions.durableTask.{key}", usual_concurrency(), low=1, high=10_000)


def function_timeout(host_json: HostJson) -> timedelta | None:
    """Time limit of one invocation, or None for none. Raises HostStartError."""
    text = str(host_json.get("functionTimeout", "00:30:00"))
    if text == "-1":
        return None
    with suppress(ValueError):
        limit = parse_timespan(text)
        if limit >= timedelta(seconds=1):
            return limit
    raise HostStartError(
        f"host.json: functionTimeout '{text}' must be a TimeSpan of at least one second, or -1."
    )
