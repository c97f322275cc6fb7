"""Every known key of host.json: who honours it here, or why it means nothing on this host."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from devhost.errors import HostStartError

_NO_TRIGGER = "devhost has no such triggers"
_NO_STORAGE = "orchestrations live in one SQLite file, without partitions, queues and tables"
_NO_TELEMETRY = "devhost sends no telemetry"
_NOT_YET = "devhost does not honour it yet"
_NO_LEASE = "one process at a time runs the hub, by a lock on its file"

# The module that reads a key. A key stands for all below it.
HONOURED: Mapping[str, str] = {
    "version": "host_json",
    "functionTimeout": "host_settings",
    "functions": "host_settings",
    "watchDirectories": "command/source_watch",
    "watchFiles": "command/source_watch",
    "logging.logLevel": "log_level",
    "extensions.http.customHeaders": "http/http_settings",
    "extensions.http.maxConcurrentRequests": "http/http_settings",
    "extensions.http.maxOutstandingRequests": "http/http_settings",
    "extensions.http.routePrefix": "http/http_settings",
    "extensions.queues.batchSize": "queue/queue_settings",
    "extensions.queues.newBatchThreshold": "queue/queue_settings",
    "extensions.queues.maxDequeueCount": "queue/queue_settings",
    "extensions.queues.maxPollingInterval": "queue/queue_settings",
    "extensions.queues.visibilityTimeout": "queue/queue_settings",
    "extensions.queues.messageEncoding": "queue/queue_settings",
    "extensions.durableTask.httpSettings": "durable/durable_settings",
    "extensions.durableTask.maxEntityOperationBatchSize": "durable/durable_settings",
    "extensions.durableTask.hubName": "host_settings",
    "extensions.durableTask.maxConcurrentActivityFunctions": "host_settings",
    "extensions.durableTask.maxConcurrentEntityFunctions": "host_settings",
    "extensions.durableTask.maxConcurrentOrchestratorFunctions": "host_settings",
    "extensions.durableTask.overridableExistingInstanceStates": "durable/durable_settings",
}

# Why a key is ignored. A key stands for all below it.
IGNORED: Mapping[str, str] = {
    "aggregator": _NO_TELEMETRY,
    "applicationInsights": _NO_TELEMETRY,
    "concurrency": "triggers keep the limits that they are given",
    "configurationProfile": "it is for custom handlers",
    "customHandler": "devhost runs Python apps only",
    "extensionBundle": "devhost brings its own bindings",
    "healthMonitor": "devhost does not watch its own health",
    "id": "one host runs an app",
    "languageWorker": "the app runs in the host's own process",
    "languageWorkers": "the app runs in the host's own process",
    "logging.applicationInsights": _NO_TELEMETRY,
    "logging.console": "the log is plain text on standard output",
    "logging.fileLoggingMode": "the log goes to standard output only",
    "managedDependency": "it is for PowerShell",
    "retry": "a retry policy is a function's own",
    "sendCanceledInvocationsToWorker": "a call that was cancelled before it began is dropped",
    "singleton": _NO_LEASE,
    "telemetryMode": _NO_TELEMETRY,
    "extensions.blobs": "blobs are read and written whole, one at a time for each call",
    "extensions.cosmosDB": _NO_TRIGGER,
    "extensions.dapr": _NO_TRIGGER,
    "extensions.eventGrid": _NO_TRIGGER,
    "extensions.eventHubs": _NO_TRIGGER,
    "extensions.http.dynamicThrottlesEnabled": "devhost does not measure the load of the machine",
    "extensions.http.hsts": "devhost serves HTTP without TLS, where browsers ignore it",
    "extensions.kafka": _NO_TRIGGER,
    "extensions.mcp": _NO_TRIGGER,
    "extensions.mySql": _NO_TRIGGER,
    "extensions.openai": _NO_TRIGGER,
    "extensions.rabbitMQ": _NO_TRIGGER,
    "extensions.sendGrid": "devhost has no such binding",
    "extensions.serviceBus": _NO_TRIGGER,
    "extensions.signalR": "devhost has no such binding",
    "extensions.sql": _NO_TRIGGER,
    "extensions.tables": "devhost has no such binding",
    "extensions.warmup": _NO_TRIGGER,
    "extensions.durableTask.rollbackEntityOperationsOnExceptions": "a Python entity's batch is one call",
    "extensions.durableTask.storeInputsInOrchestrationHistory": _NOT_YET,
    "extensions.durableTask.throwStatusExceptionsOnRaiseEvent": _NOT_YET,
    "extensions.durableTask.appLeaseOptions": _NO_LEASE,
    "extensions.durableTask.customLifeCycleNotificationHelperType": "it names a .NET type",
    "extensions.durableTask.defaultVersion": "instances have no version",
    "extensions.durableTask.entityMessageReorderWindowInMinutes": "messages arrive in order",
    "extensions.durableTask.extendedSessionIdleTimeoutInSeconds": "every step is a replay",
    "extensions.durableTask.extendedSessionsEnabled": "every step is a replay",
    "extensions.durableTask.localRpcEndpointEnabled": "the client's RPC calls use the one HTTP port",
    "extensions.durableTask.grpcEnabled": "the client's RPC calls use the one HTTP port",
    "extensions.durableTask.maxGrpcMessageSizeInBytes": "the client's RPC calls use the one HTTP port",
    "extensions.durableTask.maxOrchestrationActions": "an orchestrator may do as much as it likes",
    "extensions.durableTask.notifications": "devhost publishes no events",
    "extensions.durableTask.storageProvider": _NO_STORAGE,
    "extensions.durableTask.tracing": _NO_TELEMETRY,
    "extensions.durableTask.useAppLease": _NO_LEASE,
    "extensions.durableTask.useGracefulShutdown": "devhost lets what runs end within a few seconds anyway",
    "extensions.durableTask.versionFailureStrategy": "instances have no version",
    "extensions.durableTask.versionMatchStrategy": "instances have no version",
}


@dataclass(slots=True)
class KeyReport:
    """What a host.json has beside the honoured keys: `ignored` ones with the reason, and `unknown` ones."""

    ignored: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """One line each, for the log."""
        for path, reason in self.ignored.items():
            yield f"host.json: {path} is ignored: {reason}."
        for path in self.unknown:
            yield f"host.json: {path} is not known and is ignored."


_KNOWN = {tuple(path.lower().split(".")): path for path in (*HONOURED, *IGNORED)}
_ABOVE = {parts[:length] for parts in _KNOWN for length in range(1, len(parts))}


def report_keys(content: Mapping[str, Any], overrides: Sequence[str] = ()) -> KeyReport:
    """Sort the keys of a host.json and of its overrides (dotted paths).

    Raises HostStartError when something that has keys on the real host is no JSON object.
    """
    report = KeyReport()
    _sort(content, (), report)
    for path in overrides:
        _place(tuple(path.split(".")), report)
    return report


def _sort(content: Mapping[str, Any], above: tuple[str, ...], report: KeyReport) -> None:
    for key, value in content.items():
        path = (*above, key)
        if _place(path, report):
            continue
        if isinstance(value, dict):
            _sort(value, path, report)
        elif value is not None:
            raise HostStartError(f"host.json: {'.'.join(path)} must be a JSON object, not {value!r}.")


def _place(path: tuple[str, ...], report: KeyReport) -> bool:
    """Report a path; returns False when it only leads to known keys."""
    lower = tuple(part.lower() for part in path)
    for length in range(len(lower), 0, -1):
        known = _KNOWN.get(lower[:length])
        if known is not None:
            if known in IGNORED:
                report.ignored[known] = IGNORED[known]
            return True
    if lower in _ABOVE:
        return False
    name = ".".join(path)
    if name not in report.unknown:
        report.unknown.append(name)
    return True
