"""What a recording has happen to jobs that are followed up: ordered laptops, and what counts."""

import asyncio
from collections.abc import Awaitable, Callable

from devhost.durable.history import EventType
from tests.unit.orchestrators.recorded_app import RecordedApp, Snapshot
from tests.unit.orchestrators.recorded_history import activities_in

ORDER, CANCEL, PLACED = "order a laptop", "cancel", "placed your order"
BREAK_AT, COUNT = "break at", "count to fifty-two"
CHECKS_AN_EXECUTION = 50
# An event that comes within a second of a wait's beginning has the orchestration start over.
NOT_EARLY_SECONDS = 1.2
Scenario = Callable[[RecordedApp, int], Awaitable[Snapshot]]


def waits(job: Snapshot) -> bool:
    return job.step == "waiting"


def waits_for_delivery(job: Snapshot) -> bool:
    return waits(job) and job.percent == 50


def has_ended(job: Snapshot) -> bool:
    return job.status.is_final


def in_a_timer(job: Snapshot) -> bool:
    last = [one["EventType"] for one in job.history[-2:]]
    return last == [EventType.TIMER_CREATED, EventType.ORCHESTRATOR_COMPLETED]


def waits_after(checks: int) -> Callable[[Snapshot], bool]:
    """Whether a job waits after so many checks."""

    def condition(job: Snapshot) -> bool:
        ended = [name for name, _, result in activities_in(job.history) if result]
        return waits(job) and ended.count("check_job") == checks

    return condition


async def waits_to_be_placed(app: RecordedApp, user: int) -> Snapshot:
    """A laptop was ordered, and the job waits in its first timer."""
    await app.say(ORDER, user=user)
    return await app.until(user, waits)


async def waits_to_be_delivered(app: RecordedApp, user: int) -> Snapshot:
    """The user was told that the order is placed, and the job waits in its second timer."""
    await app.say(ORDER, user=user)
    return await app.until(user, waits_for_delivery)


async def ended(app: RecordedApp, user: int) -> Snapshot:
    """The order was placed and delivered, and the user was told of both."""
    await app.say(ORDER, user=user)
    return await app.until(user, has_ended)


async def ended_when_it_was_reported(app: RecordedApp, user: int) -> Snapshot:
    """The delivery was reported by the signed URL while the job waited in its first timer."""
    job = await waits_to_be_placed(app, user)
    await app.report_completed(job.job_id)
    return await app.until(user, has_ended)


async def woken_for_nothing(app: RecordedApp, user: int) -> Snapshot:
    """The event `completed` was raised in the first wait, nothing had changed, and the job waits again."""
    job = await waits_to_be_placed(app, user)
    await asyncio.sleep(NOT_EARLY_SECONDS)
    await app.wake(job.job_id)
    return await app.until(user, waits_after(1))


async def cancelled_while_it_waited(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel` while the job waited for the delivery."""
    await waits_to_be_delivered(app, user)
    await app.say(CANCEL, user=user)
    return await app.until(user, has_ended)


async def cancelled_while_it_told(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel` while they were being told that the order is placed."""
    app.when_told(PLACED, {"delay": 1.5}, user=user)
    await app.say(ORDER, user=user)
    await app.until(user, lambda job: job.step == "telling")
    await app.say(CANCEL, user=user)
    return await app.until(user, has_ended)


async def cancel_is_retried(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel`, that broke, and the job waits to try it again."""
    await app.say(f"{BREAK_AT} undo", user=user)
    await app.until(user, waits)
    await app.say(CANCEL, user=user)
    return await app.until(user, lambda job: job.step == "cancelling" and in_a_timer(job))


async def cancel_broke(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel`, that broke at each try; they were told, and the job has started over."""
    await cancel_is_retried(app, user)
    return await app.until(user, waits)


async def tells_when_the_channel_is_free(app: RecordedApp, user: int) -> Snapshot:
    """The channel was busy when the user was to be told, and the job waits for it in a timer."""
    app.when_told(PLACED, {"error": "Throttled", "retry_after": 600}, user=user)
    await app.say(ORDER, user=user)
    return await app.until(user, lambda job: job.step == "telling" and in_a_timer(job))


async def told_when_the_channel_was_free(app: RecordedApp, user: int) -> Snapshot:
    """The channel was busy for some seconds when the user was to be told; the job ended all the same."""
    app.when_told(PLACED, {"error": "Throttled", "retry_after": 5}, user=user)
    await app.say(ORDER, user=user)
    return await app.until(user, has_ended)


async def check_broke(app: RecordedApp, user: int) -> Snapshot:
    """The check broke at each try, with a back-off between them; the user was told, and the job failed."""
    await app.say(f"{BREAK_AT} check", user=user)
    return await app.until(user, has_ended)


async def begin_broke(app: RecordedApp, user: int) -> Snapshot:
    """The begin broke at each try, with a back-off between them; the user was told, and the job failed."""
    await app.say(f"{BREAK_AT} begin", user=user)
    return await app.until(user, has_ended)


async def will_continue_as_new(app: RecordedApp, user: int) -> Snapshot:
    """The event `completed` came 49 times for nothing: after this wait the orchestration starts over."""
    await app.say(COUNT, user=user)
    job = await app.until(user, waits)
    for checks in range(1, CHECKS_AN_EXECUTION):
        await asyncio.sleep(NOT_EARLY_SECONDS)
        await app.wake(job.job_id)
        job = await app.until(user, waits_after(checks))
    return job


async def continued_as_new(app: RecordedApp, user: int) -> Snapshot:
    """The event `completed` came fifty times, and the orchestration has started over, and waits."""
    job = await will_continue_as_new(app, user)
    await asyncio.sleep(NOT_EARLY_SECONDS)
    await app.wake(job.job_id)
    return await app.until(user, waits_after(1))


async def begin_is_retried(app: RecordedApp, user: int) -> Snapshot:
    """The order service failed at the order, and the job backs off."""
    await app.say(ORDER, user=user)
    return await app.until(user, lambda job: job.step == "beginning" and in_a_timer(job))


async def cancelled_in_the_back_off(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel` while the order, at which the order service failed, backed off."""
    await begin_is_retried(app, user)
    await app.say(CANCEL, user=user)
    return await app.until(user, has_ended)


WHILE_ORDERS_ARE_TAKEN: list[Scenario] = [
    waits_to_be_placed,
    waits_to_be_delivered,
    ended,
    ended_when_it_was_reported,
    woken_for_nothing,
    cancelled_while_it_waited,
    cancelled_while_it_told,
    cancel_is_retried,
    cancel_broke,
    tells_when_the_channel_is_free,
    told_when_the_channel_was_free,
    check_broke,
    begin_broke,
    will_continue_as_new,
    continued_as_new,
]
WHILE_NONE_ARE_TAKEN: list[Scenario] = [begin_is_retried, cancelled_in_the_back_off]
