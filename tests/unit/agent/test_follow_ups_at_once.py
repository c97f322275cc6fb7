"""Many follow-ups that are due at one moment, in a process whose work takes its time, on a stepped loop."""

import asyncio
import random
from datetime import timedelta

import pytest

from adapters.in_memory import InMemoryServices
from agent.answer import Answer
from agent.conversation import Conversation
from agent.follow_up import FollowUp, send
from agent.jobs.definition import Job
from agent.tenant_doors import MOST_AT_WORK, TenantDoors
from tests.unit.agent.paced_processes import Channel, Rates, paced
from tests.unit.agent.stepped_loop import NOON, LoopClock, SteppedLoop, run

MOST_ACTIVITY_FUNCTIONS = 100  # at once, in host.json
PIECES = 4


class Process:
    """One process: its activity functions share the time of one loop, as its ports share one tenant's row."""

    def __init__(self, channel: Channel, rates: Rates, *, work_takes: float, clock: LoopClock) -> None:
        self.services = InMemoryServices()
        self.services.clock = clock  # type: ignore[assignment]
        self.services.connector = paced(channel, rates=rates)  # type: ignore[assignment]
        self.room = asyncio.Semaphore(MOST_ACTIVITY_FUNCTIONS)
        self._work_takes = work_takes

    async def work(self) -> None:
        """What holds the loop up, in several pieces, as an activity function's own work does."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        for _ in range(PIECES):
            loop.hold_up(self._work_takes / PIECES)
            await asyncio.sleep(0)


def follow_up(number: int) -> FollowUp:
    asked_in = Conversation(
        channel_id="msteams",
        conversation_id=f"a:{number}",
        service_url="https://smba.example/",
        tenant_id="t",
    )
    job = Job(job_id=f"job-{number}", kind="any", requested_at=NOON, requested_by=asked_in)
    return FollowUp(job=job, number=1, answer=Answer("It is there."))


async def tell(process: Process, told: FollowUp) -> int:
    """Send it as its orchestration does; in how many tries."""
    for tries in range(1, 60):
        async with process.room:
            await process.work()
            sent = await send(told, services=process.services)
        if sent.outcome == "sent":
            return tries
        assert sent.outcome == "busy"
        await asyncio.sleep(max(sent.retry_in, 1.0))
        await process.work()
    raise AssertionError("it was given up")


@pytest.mark.parametrize(
    ("jobs", "work_takes", "ends_within"),
    [(600, 0.002, 30), (600, 0.03, 35), (300, 0.08, 45)],
)
def test_all_are_told_soon_and_in_few_tries_however_slow_the_process_is(
    jobs: int, work_takes: float, ends_within: float
) -> None:
    async def work() -> None:
        clock = LoopClock()
        channel = Channel(clock)
        process = Process(channel, Rates(), work_takes=work_takes, clock=clock)
        told = [follow_up(number) for number in range(jobs)]
        for each in told:
            await process.services.conversations.created(each.job.requested_by, route="teams")
        tries = await asyncio.gather(*(tell(process, each) for each in told))
        assert len(channel.arrived) == jobs
        assert channel.most_in_a_second <= 31
        assert max(channel.arrived) - NOON < timedelta(seconds=ends_within)
        assert max(tries) <= 3

    run(work())


def test_those_of_many_processes_are_told_in_few_tries_too() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        processes = [Process(channel, rates, work_takes=0.002, clock=clock) for _ in range(4)]
        told = [follow_up(number) for number in range(600)]
        for process in processes:
            for each in told:
                await process.services.conversations.created(each.job.requested_by, route="teams")
        chance = random.Random(1)  # noqa: S311 - no secret
        tries = await asyncio.gather(*(tell(chance.choice(processes), each) for each in told))
        assert max(channel.arrived) - NOON < timedelta(seconds=30)
        assert max(tries) <= 12
        assert sum(tries) / len(tries) < 3

    run(work())


async def test_of_one_tenant_so_many_are_at_work_and_the_others_wait_in_their_order() -> None:
    doors, may_end = TenantDoors(), asyncio.Event()
    entered: list[int] = []

    async def enter(number: int) -> None:
        async with doors.through("t"):
            entered.append(number)
            await may_end.wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(MOST_AT_WORK + 3):
            group.create_task(enter(number))
        await asyncio.sleep(0.01)
        assert entered == list(range(MOST_AT_WORK))
        async with doors.through("another"), doors.through(None):
            assert len(doors) == 2
        may_end.set()
    assert entered == list(range(MOST_AT_WORK + 3))
    assert len(doors) == 0
