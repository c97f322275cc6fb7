"""The durabletask package with its in-memory backend and its Python worker: the same orchestrators as ours.

``serve`` runs backend and worker; ``drive`` starts instances from a process of its own and waits for them.
"""

import json
import logging
import sys
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from durabletask import client, task, worker
from durabletask.testing.in_memory_backend import create_test_backend

STARTERS = 16
PATIENCE_SECONDS = 300


def add(_context: task.ActivityContext, number: int) -> int:
    return number + 1


def chain(context: task.OrchestrationContext, number: int) -> Generator[task.Task[Any], Any, int]:
    for _ in range(3):
        number = yield context.call_activity(add, input=number)
    return number


def fan_out(context: task.OrchestrationContext, number: int) -> Generator[task.Task[Any], Any, int]:
    results = yield task.when_all([context.call_activity(add, input=number) for _ in range(100)])
    return sum(results)


def serve(port: int) -> None:
    create_test_backend(port=port)
    running = worker.TaskHubGrpcWorker(host_address=f"127.0.0.1:{port}")
    for orchestrator in (chain, fan_out):
        running.add_orchestrator(orchestrator)
    running.add_activity(add)
    running.start()
    print("serving", flush=True)
    while True:
        time.sleep(3600)


def drive(port: int, orchestrator: str, instances: int) -> None:
    """Print the seconds from the first start to the last end, and how many ended well."""
    hub = client.TaskHubGrpcClient(host_address=f"127.0.0.1:{port}")
    before = time.perf_counter()
    with ThreadPoolExecutor(STARTERS) as starters:
        ids = list(
            starters.map(lambda _: hub.schedule_new_orchestration(orchestrator, input=1), range(instances))
        )
    states = [hub.wait_for_orchestration_completion(i, timeout=PATIENCE_SECONDS) for i in ids]
    seconds = time.perf_counter() - before
    completed = sum(
        s is not None and s.runtime_status == client.OrchestrationStatus.COMPLETED for s in states
    )
    print(json.dumps({"seconds": seconds, "completed": completed}))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    mode, port_text, *more = sys.argv[1:]
    if mode == "serve":
        serve(int(port_text))
    else:
        drive(int(port_text), more[0], int(more[1]))
