"""What Durable Functions' Azure Storage provider asks of storage for an orchestration, by its history.

Derived, not measured: devhost keeps its task hub in SQLite. The rules are those of Microsoft's article "Azure
Storage provider for Durable Functions" (sections History table, Instances table, Work-item queue, Control
queues) and of DurableTask.AzureStorage (CompleteTaskOrchestrationWorkItemAsync, UpdateStateAsync):

- each run of the orchestrator reads the instance's history, writes its new events as one batch, and updates
  the instance's row;
- each message is put, got and deleted: the start, a result, an event and a timer on a control queue, an
  activity function on the work-item queue. A poll takes up to 32 messages of a control queue at once; here
  each is got alone, as when there is little to do;
- a start asks for the instance and inserts its row.

An idle instance polls each queue once in `maxQueuePollingInterval`, and Azure's scale controller every ten
seconds (section Queue polling).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

EXECUTION_STARTED, TASK_SCHEDULED, TASK_COMPLETED, TASK_FAILED = 0, 4, 5, 6
TIMER_CREATED, ORCHESTRATOR_STARTED, EVENT_RAISED = 10, 12, 15
ON_CONTROL_QUEUES = (EXECUTION_STARTED, TASK_COMPLETED, TASK_FAILED, TIMER_CREATED, EVENT_RAISED)
OF_A_MESSAGE, OF_A_RUN, OF_A_START = 3, 3, 2
ROWS_OF_AN_INSTANCE = 2  # its status, and the sentinel of its history
QUEUES = 5  # four partitions, unless `partitionCount` says otherwise, and the work items
DEFAULT_INTERVAL = 30.0
SECONDS_OF_A_MONTH = 30 * 24 * 3600
SCALE_CONTROLLER_SECONDS = 10.0


class ProviderCost(msgspec.Struct, frozen=True, kw_only=True):
    """Of one orchestration."""

    runs: int
    activities: int
    queue_operations: int
    table_operations: int
    rows: int


def provider_cost(history: Sequence[Mapping[str, Any]]) -> ProviderCost:
    """By the events of an orchestration that has ended, all of them."""
    kinds = [event["EventType"] for event in history]
    runs, activities = kinds.count(ORCHESTRATOR_STARTED), kinds.count(TASK_SCHEDULED)
    messages = activities + sum(kinds.count(kind) for kind in ON_CONTROL_QUEUES)
    return ProviderCost(
        runs=runs,
        activities=activities,
        queue_operations=OF_A_MESSAGE * messages,
        table_operations=OF_A_RUN * runs + OF_A_START,
        rows=len(history) + ROWS_OF_AN_INSTANCE,
    )


def idle_polls_a_month(*, queues: int, longest_interval: float, instances: int) -> float:
    """Of queues into which nothing comes: by the app's instances, and by Azure's scale controller."""
    of_instances = instances * queues * SECONDS_OF_A_MONTH / longest_interval
    return of_instances + queues * SECONDS_OF_A_MONTH / SCALE_CONTROLLER_SECONDS
