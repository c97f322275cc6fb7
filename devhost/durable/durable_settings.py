"""What host.json says under `extensions.durableTask`."""

from devhost.errors import HostStartError
from devhost.host_json import HostJson


def replaces_active(host_json: HostJson) -> bool:
    """Whether a start may replace an instance that has not ended. Raises HostStartError."""
    key = "extensions.durableTask.overridableExistingInstanceStates"
    given = str(host_json.get(key, "NonRunningStates"))
    if given.lower() not in ("nonrunningstates", "anystate"):
        raise HostStartError(f"host.json: {key} must be NonRunningStates or AnyState, not '{given}'.")
    return given.lower() == "anystate"
