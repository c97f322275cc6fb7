"""The limit of a tenant that all instances share, and what it costs, on a stepped loop."""

import asyncio
import random
from datetime import timedelta
from itertools import pairwise

import pytest

from adapters.in_memory import InMemoryTenantRates
from agent.paced_connector import PacedConnector
from agent.pacing import slot_width
from agent.ports import ChannelBusy, SendPaced, Sent
from agent.tenant_slots import TenantSlots
from tests.unit.agent.paced_processes import A_SECOND, Channel, Rates, keep_sending, outcomes, paced, place
from tests.unit.agent.stepped_loop import LoopClock, SteppedLoop, run


@pytest.mark.parametrize(("processes", "senders"), [(1, 20), (4, 10), (4, 40)])
def test_many_processes_together_keep_the_limit_and_use_nine_tenths_of_it(
    processes: int, senders: int
) -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        until = clock.now() + 20 * A_SECOND
        await asyncio.gather(
            *(
                keep_sending(connector, f"{process}-{sender}", until=until, clock=clock)
                for process, connector in enumerate([paced(channel, rates=rates) for _ in range(processes)])
                for sender in range(senders)
            )
        )
        assert channel.most_in_a_second <= 30
        assert len(channel.arrived) >= 0.9 * 30 * 20
        assert rates.operations < len(channel.arrived) * (0.1 if processes == 1 else 0.5)

    run(work())


def test_a_lone_sender_uses_most_slots_it_reserves_and_fewer_operations_than_sends() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        connector = paced(channel, rates=rates)
        await keep_sending(connector, "lone", until=clock.now() + 10 * A_SECOND, clock=clock)
        assert len(channel.arrived) >= 120
        assert rates.operations < len(channel.arrived) / 2

    run(work())


async def _send_at_random(
    connectors: list[PacedConnector], *, a_second: float, seconds: int, seed: int = 1
) -> int:
    """Send so often, by any of the processes, whether or not what came before is sent; how many were sent."""
    chance = random.Random(seed)  # noqa: S311 - no secret
    until = LoopClock().now() + seconds * A_SECOND
    sends: list[asyncio.Task[Sent]] = []
    while LoopClock().now() < until:
        at = place(str(len(sends)), "tenant")
        sends.append(asyncio.create_task(chance.choice(connectors).send({}, at=at)))
        await asyncio.sleep(chance.expovariate(a_second))
    await asyncio.gather(*sends)
    return len(sends)


@pytest.mark.parametrize(
    ("processes", "a_second", "at_most"),
    [(1, 1, 1.05), (1, 4, 0.45), (1, 20, 0.15), (4, 1, 2.3), (4, 4, 2.3), (4, 20, 1.0)],
)
def test_the_more_is_sent_into_a_tenant_the_less_storage_a_send_costs(
    processes: int, a_second: float, at_most: float
) -> None:
    async def work() -> None:
        channel, rates = Channel(LoopClock()), Rates()
        connectors = [paced(channel, rates=rates) for _ in range(processes)]
        sent = await _send_at_random(connectors, a_second=a_second, seconds=60)
        assert rates.operations <= at_most * sent
        assert channel.most_in_a_second <= 31

    run(work())


def test_who_joins_one_that_reserves_ahead_waits_half_a_second_at_most_and_soon_all_is_used() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        first, *others = [paced(channel, rates=rates) for _ in range(4)]
        lone = asyncio.create_task(_send_at_random([first], a_second=5, seconds=15))
        await asyncio.sleep(5)
        began = clock.now()
        await others[0].send({}, at=place("joins", "tenant"))
        assert clock.now() - began <= 0.65 * A_SECOND  # of which 50 ms are the channel's
        channel.arrived.clear()
        until = clock.now() + 9 * A_SECOND
        await asyncio.gather(
            *(
                keep_sending(other, f"{number}-{sender}", until=until, clock=clock)
                for number, other in enumerate(others)
                for sender in range(10)
            )
        )
        assert len(channel.arrived) >= 0.9 * 30 * 9
        assert channel.most_in_a_second <= 31
        await outcomes(lone)

    run(work())


def test_a_rare_send_costs_one_operation_and_waits_for_nothing_else() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        connector = paced(channel, rates=rates)
        await connector.send({}, at=place("first", "tenant"))
        assert rates.operations == 2  # read, insert
        for number in range(20):
            await asyncio.sleep(10)
            began = clock.now()
            await connector.send({}, at=place(str(number), "tenant"))
            assert channel.arrived[-1] - began <= timedelta(seconds=0.011)
        assert rates.operations == 2 + 20

    run(work())


def test_nobody_is_turned_away_from_a_slot_that_one_who_came_later_gets() -> None:
    async def work() -> None:
        clock = LoopClock()
        rates = Rates()
        others = TenantSlots(rates, requests_per_second=30, clock=clock)
        slots = TenantSlots(rates, requests_per_second=30, clock=clock)
        crowd = [
            asyncio.create_task(others.take("tenant", deadline=clock.now() + 1.6 * A_SECOND))
            for _ in range(60)
        ]
        await asyncio.sleep(0.1)
        deadlines, line = [], []
        for _ in range(60):
            deadlines.append(clock.now() + 2 * A_SECOND)
            line.append(asyncio.create_task(slots.take("tenant", deadline=deadlines[-1])))
            await asyncio.sleep(0.02)
        told = await outcomes(*line)
        refused = [number for number, one in enumerate(told) if isinstance(one, SendPaced)]
        assert 0 < len(refused) < 60
        for number in refused:
            assert all(
                isinstance(later, SendPaced) or later > deadlines[number] for later in told[number:]
            ), number
        await outcomes(*crowd)

    run(work())


def test_a_crowd_is_sent_for_two_seconds_and_the_rest_told_to_come_back_without_a_request() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        connector = paced(channel, rates=rates)
        began = clock.now()
        told = await outcomes(*(connector.send({}, at=place(str(n), "tenant")) for n in range(1000)))
        busy = [one for one in told if isinstance(one, ChannelBusy)]
        assert 50 <= len(channel.arrived) <= 75
        assert len(busy) + len(channel.arrived) == 1000
        back = sorted(one.retry_after for one in busy)
        assert A_SECOND <= back[0] <= 3 * A_SECOND
        # Not all at once, and the last of them when all before it can be sent.
        assert all(later - sooner >= 0.99 * slot_width(30) for sooner, later in pairwise(back))
        assert back[-1] <= 1.05 * 1000 * slot_width(30)
        assert channel.arrived[-1] - began <= 2.6 * A_SECOND
        assert rates.operations < 12

    run(work())


def test_replies_do_not_wait_for_slots_but_others_leave_room_for_them() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock, takes=0.0), Rates()
        connector = paced(channel, rates=rates)
        for number in range(20):
            await connector.send({}, at=place(str(number), "tenant"), reply_to_id="1")
        assert channel.arrived[-1] == channel.arrived[0]
        assert rates.operations == 0
        await connector.send({}, at=place("a", "tenant"))
        row = await InMemoryTenantRates.read(rates, "tenant")
        assert row
        assert row.next_slot_at - clock.now() > 18 * A_SECOND / 30

    run(work())


def test_without_a_tenant_there_is_no_tenant_limit() -> None:
    async def work() -> None:
        channel, rates = Channel(LoopClock()), Rates()
        connector = paced(channel, rates=rates)
        await asyncio.gather(*(connector.send({}, at=place(str(n))) for n in range(200)))
        assert rates.operations == 0
        await connector.create_conversation({}, service_url="https://smba.example/", tenant_id="tenant")
        assert rates.operations == 2

    run(work())


def test_an_unused_slot_of_one_who_was_cancelled_goes_to_another() -> None:
    async def work() -> None:
        clock = LoopClock()
        slots = TenantSlots(rates := Rates(), requests_per_second=1, clock=clock)
        deadline = clock.now() + 5 * A_SECOND
        await slots.take("tenant", deadline=deadline)
        waiting = asyncio.create_task(slots.take("tenant", deadline=deadline))
        await asyncio.sleep(0.5)
        waiting.cancel()
        await outcomes(waiting)
        operations = rates.operations
        await slots.take("tenant", deadline=deadline)
        assert (clock.now() - deadline + 5 * A_SECOND).total_seconds() == pytest.approx(1.07, abs=0.03)
        assert rates.operations == operations

    run(work())


def test_a_slot_that_was_missed_by_its_width_is_given_up() -> None:
    async def work() -> None:
        clock = LoopClock()
        slots = TenantSlots(Rates(), requests_per_second=30, clock=clock)
        deadline = clock.now() + 60 * A_SECOND
        together = [asyncio.create_task(slots.take("tenant", deadline=deadline)) for _ in range(10)]
        await asyncio.sleep(0.1)
        clock.set_forward += A_SECOND  # the process stood still
        taken = await asyncio.gather(*together)
        assert all(later - earlier >= timedelta(seconds=0.03) for earlier, later in pairwise(sorted(taken)))
        assert len([slot for slot in taken if slot < deadline - 59 * A_SECOND]) <= 4

    run(work())


@pytest.mark.parametrize(("turn_takes", "at_least"), [(0.05, 12), (0.2, 1.5), (1.0, 0.5)])
def test_where_the_loop_turns_slower_than_slots_go_by_there_is_still_something_sent(
    turn_takes: float, at_least: float
) -> None:
    async def hold_up(loop: SteppedLoop) -> None:
        while True:
            loop.hold_up(turn_takes)
            await asyncio.sleep(0)

    async def work() -> None:
        clock, loop = LoopClock(), asyncio.get_running_loop()
        assert isinstance(loop, SteppedLoop)
        channel = Channel(clock)
        connector = paced(channel, rates=Rates())
        slow = asyncio.create_task(hold_up(loop))
        until = clock.now() + 60 * A_SECOND
        await asyncio.gather(
            *(keep_sending(connector, str(sender), until=until, clock=clock) for sender in range(16))
        )
        slow.cancel()
        assert len(channel.arrived) >= at_least * 60
        assert channel.most_in_a_second <= 31

    run(work())
