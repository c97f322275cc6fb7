"""What host.json says under `extensions.durableTask`."""

from datetime import timedelta

from devhost.errors import HostStartError
from devhost.host_json import HostJson


def replaces_active(host_json: HostJson) -> bool:
    """Whether a start may replace an instance that has not ended. Raises HostStartError."""
    key = "extensions.durableTask.overridableExistingInstanceStates"
    given = str(host_json.get(key, "NonRunningStates"))
    if given.lower() not in ("nonrunningstates", "anystate"):
        raise HostStartError(f"host.json: {key} must be NonRunningStates or AnyState, not '{given}'.")
    return given.lower() == "anystate"


def uses_forwarded_host(host_json: HostJson) -> bool:
    """Whether links lead where X-Forwarded-Host and X-Forwarded-Proto say. Raises HostStartError."""
    key = "extensions.durableTask.httpSettings.useForwardedHost"
    given = str(host_json.get(key, False)).lower()
    if given not in ("true", "false"):
        raise HostStartError(f"host.json: {key} must be true or false, not '{given}'.")
    return given == "true"


def most_operations(host_json: HostJson) -> int:
    """How many operations of one entity are one call of its function. Raises HostStartError."""
    key = "extensions.durableTask.maxEntityOperationBatchSize"
    return host_json.get_int(key, 5000, low=1, high=2**31 - 1)


def http_pause(host_json: HostJson) -> timedelta:
    """How long call_http waits before it asks again, where no answer says it. Raises HostStartError."""
    key = "extensions.durableTask.httpSettings.defaultAsyncRequestSleepTimeMilliseconds"
    return timedelta(milliseconds=host_json.get_int(key, 30_000, low=0, high=2**31 - 1))
