"""Options of queue triggers: host.json `extensions.queues`, and the development lease."""

import os
from dataclasses import dataclass
from datetime import timedelta

from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.queue.polling_backoff import SHORTEST_WAIT
from devhost.timespan import parse_timespan

LEASE_VARIABLE = "DEVHOST_QUEUE_LEASE"
_LEASE = timedelta(minutes=10)
_LONGEST_INVISIBLE = timedelta(days=7)  # the service allows no more


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
    encoding = str(host_json.get(path + "messageEncoding", "base64")).lower()
    if encoding not in ("none", "base64"):
        raise HostStartError(f"host.json: {path}messageEncoding must be none or base64, not '{encoding}'.")
    visibility = host_json.get_span(path + "visibilityTimeout", "00:00:00")
    if not timedelta(0) <= visibility <= _LONGEST_INVISIBLE:
        raise HostStartError(f"host.json: {path}visibilityTimeout must be between 00:00:00 and 7.00:00:00.")
    return QueueSettings(
        batch_size=batch_size,
        new_batch_threshold=host_json.get_int(path + "newBatchThreshold", threshold, low=0, high=10_000),
        max_dequeue_count=host_json.get_int(path + "maxDequeueCount", 5, low=1, high=10_000),
        visibility_timeout=visibility,
        max_polling_interval=_polling_interval(host_json, path + "maxPollingInterval"),
        encoding=encoding,
        lease=_lease(),
    )


def _polling_interval(host_json: HostJson, key: str) -> timedelta:
    is_development = os.environ.get("AZURE_FUNCTIONS_ENVIRONMENT", "").lower() == "development"
    interval = host_json.get_span(key, "00:00:02" if is_development else "00:01:00")
    if interval < SHORTEST_WAIT:
        raise HostStartError(f"host.json: {key} must be at least 100 ms.")
    return interval


def _lease() -> timedelta:
    try:
        lease = parse_timespan(os.environ.get(LEASE_VARIABLE) or str(_LEASE))
    except (ValueError, OverflowError) as error:
        raise HostStartError(f"{LEASE_VARIABLE}: {error}") from None
    if not timedelta(seconds=1) <= lease <= _LONGEST_INVISIBLE:
        raise HostStartError(f"{LEASE_VARIABLE} must be between 00:00:01 and 7.00:00:00.")
    return lease
