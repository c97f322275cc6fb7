"""What the host says when it starts: the functions with their URLs, and how it differs from the real host."""

from devhost.indexing.app_loader import LoadedApp
from devhost.queue.queue_settings import LEASE_VARIABLE, QueueSettings


def banner(app: LoadedApp, *, port: int, route_prefix: str) -> list[str]:
    """Lines of the `Functions:` list, in func's manner: HTTP functions first, then what is disabled."""
    lines = ["", "Functions:", ""]
    running = [function for function in app.functions if not function.is_disabled]
    for function in sorted(running, key=lambda f: (f.trigger.type != "httpTrigger", f.name.lower())):
        label = f"\t{function.name}: "
        if function.trigger.type == "httpTrigger":
            methods = ",".join(function.trigger.properties.get("methods") or ())
            path = function.http_path(route_prefix)
            lines.append(f"{label}{f'[{methods}] ' if methods else ''}http://localhost:{port}/{path}")
        else:
            lines.append(f"{label}{function.trigger.type}")
        lines.append("")
    if not running:
        lines += ["\tNo functions found.", ""]
    lines += [f"Function {function.name} is disabled." for function in app.functions if function.is_disabled]
    return [*lines, "For detailed output, run func with --verbose flag."]


def differences(app: LoadedApp, queues: QueueSettings) -> list[str]:
    """Lines about where this host deliberately differs from the real one, as far as this app can notice."""
    kinds = {function.trigger.type for function in app.functions}
    found: list[str] = []
    if kinds & {"orchestrationTrigger", "entityTrigger"}:
        found += [
            "orchestrations and entities live in a SQLite file in the data directory, not in Azure Storage",
            "calling an unknown activity, sub-orchestrator or entity fails the instance (the real host "
            "leaves it Running)",
            "a sub-orchestration whose id is that of a running instance fails for its parent",
            "where the SDK of the app reads timestamps with dateutil, devhost has it read them faster",
            "there is one task hub: the taskHub and connection of a request or of a client choose no other",
            "lists of instances hold orchestrations only (on Azure Storage entities, too, as @name@key)",
            "the client's RPC calls and the webhooks share the one HTTP port",
        ]
    if "timerTrigger" in kinds:
        found += [
            "timer schedules are read in UTC, or in the zone that WEBSITE_TIME_ZONE names, never in the "
            "machine's own; on Azure, Linux Consumption and Flex Consumption know UTC only",
            "the status of timers is kept in the data directory",
        ]
    if "httpTrigger" in kinds:
        found.append("authorization levels are checked with --enable-auth only, as under `func start`")
    if "queueTrigger" in kinds and queues.has_development_lease:
        found.append(
            f"{LEASE_VARIABLE}={queues.lease}: queue messages are leased for that long, not for 0:10:00"
        )
    found.append("the app runs in the host's own process: what blocks the app's event loop blocks the host")
    found += [
        "a synchronous function over its time limit is reported as failed, but its thread runs on until no "
        "thread is left: then the host restarts itself",
        "some keys of host.json are ignored, each with a line at the start",
    ]
    return ["Differences from the real host:", *(f"\t- {line}" for line in found), ""]
