"""Options of queue triggers: host.json `extensions.queues`, and the development lease."""

import os
from dataclasses import dataclass
from datetime import timedelta

from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.timespan import parse_timespan

LEASE_VARIABLE = "DEVHOST_QUEUE_LEASE"
_LEASE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """`lease` is the visibility timeout of a received message; it is renewed at half of it."""

    batch_size: int
    new_batch_threshold: int
    max_dequeue_count: int
    visibility_timeout: timedelta
    max_polling_interval: timedelta
    encoding: str
    lease: timedelta = _LEASE

    @property
    def has_development_lease(self) -> bool:
        return self.lease != _LEASE


def read_queue_settings(host_json: HostJson) -> QueueSettings:
    """Read and check the options. Raises HostStartError."""
    path = "extensions.queues."
    batch_size = host_json.get_int(path + "batchSize", 16, low=1, high=32)
    threshold = batch_size // 2 * (os.cpu_count() or 1)
    is_development = os.environ.get("AZURE_FUNCTIONS_ENVIRONMENT", "").lower() == "development"
    polling = _span(
        host_json.get(path + "maxPollingInterval", "00:00:02" if is_development else "00:01:00"), path
    )
    encoding = str(host_json.get(path + "messageEncoding", "base64")).lower()
    if encoding not in ("none", "base64"):
        raise HostStartError(f"host.json: {path}messageEncoding must be none or base64, not '{encoding}'.")
    if polling < timedelta(milliseconds=100):
        raise HostStartError(f"host.json: {path}maxPollingInterval must be at least 100 ms.")
    lease = _span(os.environ.get(LEASE_VARIABLE, str(_LEASE)), LEASE_VARIABLE)
    if not timedelta(seconds=1) <= lease <= timedelta(days=7):
        raise HostStartError(f"{LEASE_VARIABLE} must be between 00:00:01 and 7.00:00:00.")
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=host_json.get_int(path + "newBatchThreshold", threshold, low=0, high=10_000),
        max_dequeue_count=host_json.get_int(path + "maxDequeueCount", 5, low=1, high=10_000),
        visibility_timeout=_span(
            host_json.get(path + "visibilityTimeout", "00:00:00"), path + "visibilityTimeout"
        ),
        max_polling_interval=polling,
        encoding=encoding,
        lease=lease,
    )


def _span(value: object, where: str) -> timedelta:
    try:
        return parse_timespan(str(value))
    except ValueError as error:
        raise HostStartError(f"{where}: {error}") from None
