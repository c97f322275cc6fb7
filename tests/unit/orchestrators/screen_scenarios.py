"""What a recording has happen to jobs that ask first, are streamed, or compose their answer."""

from collections.abc import Callable
from typing import Any

from tests.unit.orchestrators.follow_up_scenarios import CANCEL, Scenario, has_ended, in_a_timer, waits
from tests.unit.orchestrators.recorded_app import RecordedApp, Snapshot
from tests.unit.orchestrators.recorded_history import activities_in, result_of

LICENCE, ASK_SOON = "I need a licence for Sketch", "remind me soon"
SLOW_PRINTER, FAST_PRINTER = "watch the slow printer", "watch the fast printer"
QUESTION = "What can you do, how do I cancel a job, and which language model answers questions?"
COMPOSE = "compose what breaks"


def results(job: Snapshot, function: str) -> list[Any]:
    return [result_of(ended) for name, _, ended in activities_in(job.history) if name == function and ended]


def waits_once(function: str, *, ended: int = 1) -> Callable[[Snapshot], bool]:
    """Whether a job waits after an activity function has ended so often."""
    return lambda job: waits(job) and len(results(job, function)) >= ended


def is_handed_over(job: Snapshot) -> bool:
    return waits(job) and any(shown["view"]["ended"] == "completed" for shown in results(job, "show_job"))


async def asked(app: RecordedApp, user: int) -> Snapshot:
    """Somebody was asked, and the job waits for their answer."""
    await app.say(LICENCE, user=user)
    return await app.until(user, waits_once("show_job"))


async def reminded(app: RecordedApp, user: int) -> Snapshot:
    """Who was asked was reminded, and the job waits for their answer."""
    await app.say(ASK_SOON, user=user)
    return await app.until(user, waits_once("remind_approval"))


async def expired(app: RecordedApp, user: int) -> Snapshot:
    """Nobody answered in time; the user was told."""
    await app.say(ASK_SOON, user=user)
    return await app.until(user, has_ended)


async def approved_and_waits(app: RecordedApp, user: int) -> Snapshot:
    """The answer was yes; the job was begun, and waits."""
    job = await asked(app, user)
    await app.answer(job.job_id, "approved", user=user)
    return await app.until(user, waits_once("begin_job"))


async def approved(app: RecordedApp, user: int) -> Snapshot:
    """The answer was yes, and the job was followed to its end."""
    job = await asked(app, user)
    await app.answer(job.job_id, "approved", user=user)
    return await app.until(user, has_ended)


async def approved_after_a_reminder(app: RecordedApp, user: int) -> Snapshot:
    """The answer was yes, after a reminder; the job was done as it began."""
    job = await reminded(app, user)
    await app.answer(job.job_id, "approved", user=user)
    return await app.until(user, has_ended)


async def rejected(app: RecordedApp, user: int) -> Snapshot:
    """The answer was no; the user was told."""
    job = await asked(app, user)
    await app.answer(job.job_id, "rejected", user=user)
    return await app.until(user, has_ended)


async def cancelled_while_asking(app: RecordedApp, user: int) -> Snapshot:
    """The user said `cancel` while the answer was waited for."""
    await asked(app, user)
    await app.say(CANCEL, user=user)
    return await app.until(user, has_ended)


async def streamed_and_told(app: RecordedApp, user: int) -> Snapshot:
    """A stream showed each news, and what was told ended it."""
    await app.say(FAST_PRINTER, user=user)
    return await app.until(user, has_ended)


async def stream_is_kept_alive(app: RecordedApp, user: int) -> Snapshot:
    """A stream showed each news, and was updated twice when there was none; the job waits."""
    await app.say(SLOW_PRINTER, user=user)
    return await app.until(user, waits_once("show_job", ended=5))


async def stream_was_handed_over(app: RecordedApp, user: int) -> Snapshot:
    """A stream was ended as it had lasted long enough, and the job waits."""
    await app.say(SLOW_PRINTER, user=user)
    return await app.until(user, is_handed_over)


async def told_after_the_stream(app: RecordedApp, user: int) -> Snapshot:
    """A stream was ended as it had lasted long enough; the job ended later, and the user was told."""
    await app.say(SLOW_PRINTER, user=user)
    return await app.until(user, has_ended)


async def stream_was_stopped(app: RecordedApp, user: int) -> Snapshot:
    """The user stopped the stream, which cancelled the job."""
    await app.say(FAST_PRINTER, user=user)
    await app.until(user, waits_once("show_job"))
    app.stop_stream(user=user)
    return await app.until(user, has_ended)


async def composed(app: RecordedApp, user: int) -> Snapshot:
    """The answer was composed, and told in its stream by the activity function."""
    await app.say(QUESTION, user=user)
    return await app.until(user, has_ended)


async def composing_was_stopped(app: RecordedApp, user: int) -> Snapshot:
    """The user stopped the stream while the answer was composed, which cancelled the job."""
    await app.say(QUESTION, user=user)
    await app.until(user, lambda job: job.step == "composing")
    app.stop_stream(user=user)
    return await app.until(user, has_ended)


async def compose_is_retried(app: RecordedApp, user: int) -> Snapshot:
    """The composing broke, and the job backs off."""
    await app.say(COMPOSE, user=user)
    return await app.until(user, lambda job: job.step == "composing" and in_a_timer(job))


async def composed_anew(app: RecordedApp, user: int) -> Snapshot:
    """The composing broke, was tried anew, and the user was told."""
    await app.say(COMPOSE, user=user)
    return await app.until(user, has_ended)


ON_THE_SCREEN: list[Scenario] = [
    asked,
    reminded,
    expired,
    approved_and_waits,
    approved,
    approved_after_a_reminder,
    rejected,
    cancelled_while_asking,
    streamed_and_told,
    stream_is_kept_alive,
    stream_was_handed_over,
    told_after_the_stream,
    stream_was_stopped,
    composed,
    composing_was_stopped,
    compose_is_retried,
    composed_anew,
]
