"""What a follow-up costs: requests read from Azurite's log, the provider's rules, and prices."""

import pytest

from bench.follow_up_cost import FollowUpCost
from bench.prices import LISTED, dollars_of_a_million, price_of
from bench.provider_cost import (
    EVENT_RAISED,
    EXECUTION_STARTED,
    ORCHESTRATOR_STARTED,
    TASK_COMPLETED,
    TASK_SCHEDULED,
    TIMER_CREATED,
    idle_polls_a_month,
    provider_cost,
)
from bench.storage_log import requests_in

TIMER_FIRED, EXECUTION_COMPLETED, ORCHESTRATOR_COMPLETED = 11, 1, 13


def line(at: str, service: str, method: str, resource: str) -> str:
    url = f"http://127.0.0.1/devstoreaccount1/{resource}"
    told = f"{service}StorageContextMiddleware: RequestMethod={method} RequestURL={url} RequestHeaders:{{}}"
    return f"{at} 9c0e info: {told}\n{at} 9c0e info: DispatchMiddleware: Operation=One\n"


LOG = (
    line("2026-11-24T22:00:00.000Z", "Table", "POST", "turnclaims")
    + line("2026-11-24T22:00:01.000Z", "Table", "GET", "jobs(PartitionKey='a b',RowKey='c')")
    + line("2026-11-24T22:00:01.500Z", "Table", "GET", "jobs()?$filter=PartitionKey%20eq%20%27a%27")
    + line("2026-11-24T22:00:02.000Z", "Queue", "GET", "proactive-messages/messages?numofmessages=16")
    + line("2026-11-24T22:00:02.500Z", "Queue", "POST", "proactive-messages/messages")
    + line("2026-11-24T22:00:03.000Z", "Table", "POST", "turnclaims")
)


def test_requests_are_counted_between_two_moments_and_polls_of_queues_are_left_out() -> None:
    asked = requests_in(LOG, since="2026-11-24T22:00:00.500Z", until="2026-11-24T22:00:03.000Z")
    assert asked == {("Table", "GET", "jobs"): 2, ("Queue", "POST", "proactive-messages"): 1}


def history(*kinds: int) -> list[dict[str, int]]:
    return [{"EventType": kind} for kind in kinds]


def step(*kinds: int) -> tuple[int, ...]:
    """One run of the orchestrator."""
    return (ORCHESTRATOR_STARTED, *kinds, ORCHESTRATOR_COMPLETED)


def test_the_provider_writes_each_run_and_moves_each_message() -> None:
    """Begin, wait in a timer, check, tell: the steps of a job with one follow-up."""
    events = history(
        *step(EXECUTION_STARTED, TASK_SCHEDULED),
        *step(TASK_COMPLETED, TIMER_CREATED),
        *step(TIMER_FIRED, TASK_SCHEDULED),
        *step(TASK_COMPLETED, TASK_SCHEDULED),
        *step(TASK_COMPLETED, EXECUTION_COMPLETED),
    )
    cost = provider_cost(events)
    assert (cost.runs, cost.activities) == (5, 3)
    messages = 1 + 3 + 3 + 1  # the start, three activities, their results, the timer
    assert cost.queue_operations == 3 * messages
    assert cost.table_operations == 3 * 5 + 2
    assert cost.rows == len(events) + 2


def test_an_external_event_is_a_message_too_and_may_come_in_the_run_of_another() -> None:
    one = provider_cost(history(*step(EXECUTION_STARTED, EVENT_RAISED, EXECUTION_COMPLETED)))
    assert (one.runs, one.queue_operations, one.table_operations) == (1, 6, 5)


def test_idle_queues_are_polled_by_each_instance_and_by_the_scale_controller() -> None:
    month = 30 * 24 * 3600
    assert idle_polls_a_month(queues=5, longest_interval=5, instances=1) == 5 * month / 5 + 5 * month / 10
    assert idle_polls_a_month(queues=5, longest_interval=30, instances=0) == 5 * month / 10


def test_prices_are_for_ten_thousand_operations_and_for_a_million_executions() -> None:
    prices = {"table": 0.5, "queue": 0.25, "execution": 0.2}
    assert dollars_of_a_million(2, name="table", prices=prices) == 100
    assert dollars_of_a_million(4, name="queue", prices=prices) == 100
    assert dollars_of_a_million(3, name="execution", prices=prices) == pytest.approx(0.6)


def test_a_price_is_read_by_its_name() -> None:
    assert price_of("queue=0.005") == ("queue", 0.005)
    for wrong in ("blob=1", "queue", "queue=much", "queue=-1"):
        with pytest.raises(ValueError, match=r"price|float|below"):
            price_of(wrong)


def test_the_table_tells_counted_and_derived_apart_and_sums_the_dollars() -> None:
    cost = FollowUpCost(
        first={("Table", "POST", "turnclaims"): 1.0, ("Table", "PUT", "conversations"): 1.0},
        later={("Table", "POST", "turnclaims"): 1.0, ("Queue", "POST", "some"): 0.5},
        events_shown=7,
        provider=provider_cost(history(*step(EXECUTION_STARTED, EXECUTION_COMPLETED))),
        prices=LISTED,
        polling_interval=5,
    )
    rows = [[part.strip() for part in told.strip("|").split("|")] for told in cost.table().splitlines()]
    assert ["Table conversations: PUT", "1", "-"] in rows
    assert ["all", "2", "1.5"] in rows
    assert ["operations of the app on queues", "counted", "0.5", "0.20"] in rows
    assert ["operations of the task hub on its queues", "derived", "3", "1.20"] in rows
    # 1 and 5 table operations, 0.5 and 3 queue operations, a turn and one run
    assert ["all of these", "", "", f"{6 * 0.036 + 3.5 * 0.4 + 2 * 0.4:.2f}"] in rows
    assert ["history events by the management API", "counted", "7", "-"] in rows
    # Five queues of the task hub, each polled every 5 s by the app and every 10 s by the scale controller
    assert ["5", "3.89", "1.56"] in rows
