"""The limits that all instances share, on a stepped loop: each PacedConnector stands for one process."""

import asyncio
import random
from collections.abc import Awaitable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from adapters.in_memory import InMemoryTenantRates, RecordingConnector
from agent.conversation import Place
from agent.conversation_lines import ConversationLines
from agent.paced_connector import PacedConnector
from agent.pacing import Limits, TenantRate
from agent.ports import ChannelBusy, Created, SendPaced, Sent, TenantRatesUnavailable
from agent.tenant_slots import TenantSlots
from tests.unit.agent.stepped_loop import LoopClock, run

TEAMS = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
NO_LIMIT: Limits = ()
A_SECOND = timedelta(seconds=1)


class Rates(InMemoryTenantRates):
    """Counts its operations, which take a while; fails while ``is_down``."""

    def __init__(self, *, takes: float = 0.01) -> None:
        super().__init__()
        self.takes = takes
        self.is_down = False
        self.operations = 0

    async def _begin(self) -> None:
        self.operations += 1
        await asyncio.sleep(self.takes)
        if self.is_down:
            raise TenantRatesUnavailable

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        await self._begin()
        return await super().insert(rate)

    async def read(self, tenant_id: str) -> TenantRate | None:
        await self._begin()
        return await super().read(tenant_id)

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        await self._begin()
        return await super().replace(rate)


class Channel(RecordingConnector):
    """Notes when requests arrive, and answers after a while."""

    def __init__(self, clock: LoopClock, *, takes: float = 0.05) -> None:
        super().__init__()
        self._clock = clock
        self._takes = takes
        self.arrived: list[datetime] = []
        self.at_work: dict[str, int] = {}

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        async with self._one(at.conversation_id):
            return await super().send(outgoing, at=at, reply_to_id=reply_to_id)

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        self.arrived.append(self._clock.now())
        return await super().create_conversation(parameters, service_url=service_url, tenant_id=tenant_id)

    def _one(self, conversation_id: str) -> "_AtWork":
        self.arrived.append(self._clock.now())
        return _AtWork(self, conversation_id, self._takes)

    @property
    def most_in_a_second(self) -> int:
        return max(
            len([other for other in self.arrived if at <= other < at + A_SECOND]) for at in self.arrived
        )


class _AtWork:
    def __init__(self, channel: Channel, conversation_id: str, takes: float) -> None:
        self._at_work, self._conversation_id, self._takes = channel.at_work, conversation_id, takes

    async def __aenter__(self) -> None:
        assert not self._at_work.get(self._conversation_id), "two requests at once in one conversation"
        self._at_work[self._conversation_id] = 1
        try:
            await asyncio.sleep(self._takes)
        except asyncio.CancelledError:
            self._at_work[self._conversation_id] = 0
            raise

    async def __aexit__(self, *error: object) -> None:
        self._at_work[self._conversation_id] = 0


def place(conversation_id: str = "a", tenant_id: str | None = None) -> Place:
    return Place(service_url="https://smba.example/", conversation_id=conversation_id, tenant_id=tenant_id)


def paced(channel: Channel, *, limits: Limits = NO_LIMIT, rates: Rates | None = None) -> PacedConnector:
    return PacedConnector(
        channel,
        conversation_limits=limits,
        tenant_requests_per_second=30,
        tenant_rates=rates or Rates(),
        clock=LoopClock(),
    )


async def outcomes(*work: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*work, return_exceptions=True)


def test_one_conversation_is_sent_into_in_the_order_of_arrival() -> None:
    async def work() -> None:
        channel = Channel(LoopClock())
        connector = paced(channel)
        await asyncio.gather(*(connector.send({"text": str(n)}, at=place()) for n in range(9)))
        assert channel.texts == [str(n) for n in range(9)]

    run(work())


def test_conversations_do_not_wait_for_each_other() -> None:
    async def work() -> None:
        channel = Channel(LoopClock())
        connector = paced(channel)
        await asyncio.gather(*(connector.send({}, at=place(str(n))) for n in range(50)))
        assert LoopClock().now() - channel.arrived[0] == timedelta(seconds=0.05)

    run(work())


def test_a_conversations_limits_hold_and_who_would_wait_long_is_told_how_long() -> None:
    async def work() -> None:
        channel = Channel(LoopClock(), takes=0.0)
        connector = paced(channel, limits=TEAMS)
        told = await outcomes(*(connector.send({"text": str(n)}, at=place()) for n in range(20)))
        taken = [type(one) for one in told].index(SendPaced)
        assert 8 <= taken <= 15
        assert channel.texts == [str(n) for n in range(taken)]
        assert channel.arrived[7] - channel.arrived[0] == A_SECOND
        assert channel.arrived[-1] - channel.arrived[0] <= 2 * A_SECOND
        with pytest.raises(ChannelBusy) as busy:
            for _ in range(60):
                await connector.send({}, at=place())
        assert busy.value.retry_after > 2 * A_SECOND
        arrived = len(channel.arrived)
        await asyncio.sleep(busy.value.retry_after.total_seconds())
        await connector.send({}, at=place())
        assert len(channel.arrived) == arrived + 1

    run(work())


def test_the_members_are_asked_for_in_line_but_are_no_send() -> None:
    async def work() -> None:
        channel = Channel(LoopClock())
        connector = paced(channel, limits=((1, 60.0),))
        await connector.send({}, at=place())
        assert await connector.members(at=place()) == []
        with pytest.raises(ChannelBusy):
            await connector.update({}, at=place(), activity_id="1")
        with pytest.raises(ChannelBusy):
            await connector.delete(at=place(), activity_id="1")
        assert [call.method for call in channel.calls] == ["send", "members"]

    run(work())


@pytest.mark.parametrize(
    ("slows", "is_blocked"), [("tenant", True), ("conversation", True), ("nothing", False)]
)
def test_a_busy_conversation_is_left_alone_for_as_long_as_the_channel_says(
    slows: Any, is_blocked: bool
) -> None:
    async def work() -> None:
        channel = Channel(LoopClock())
        connector = paced(channel)
        channel.errors.append(ChannelBusy("429", retry_after=9 * A_SECOND, slows=slows))
        first, second = await outcomes(connector.send({}, at=place()), connector.send({}, at=place()))
        assert type(first) is ChannelBusy
        assert type(second) is (SendPaced if is_blocked else Sent)
        if isinstance(second, SendPaced):
            assert second.retry_after == 9 * A_SECOND
            assert len(channel.arrived) == 1
            await connector.send({}, at=place("other"))
            await asyncio.sleep(9)
            await connector.send({}, at=place())

    run(work())


def test_who_is_cancelled_in_line_is_left_out_and_the_line_goes_on() -> None:
    async def work() -> None:
        channel = Channel(LoopClock())
        connector = paced(channel)
        tasks = [asyncio.create_task(connector.send({"text": str(n)}, at=place())) for n in range(5)]
        await asyncio.sleep(0.01)
        tasks[0].cancel()
        tasks[2].cancel()
        await outcomes(*(asyncio.wait_for(task, 9) for task in tasks))
        assert channel.texts == ["1", "3", "4"]
        await connector.send({"text": "5"}, at=place())
        assert channel.texts[-1] == "5"

    run(work())


def test_behind_a_request_that_hangs_nobody_waits_longer_than_two_seconds() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel = Channel(clock, takes=8.0)
        connector = paced(channel)
        hanging = asyncio.create_task(connector.send({}, at=place()))
        await asyncio.sleep(0)
        began = clock.now()
        with pytest.raises(ChannelBusy):
            await connector.send({}, at=place())
        assert clock.now() - began == 2 * A_SECOND
        await hanging
        await connector.send({}, at=place())

    run(work())


def test_idle_conversations_are_forgotten_and_never_more_kept_than_the_most() -> None:
    async def work() -> None:
        lines = ConversationLines(((1, 60.0),), clock=LoopClock(), most=100)
        now = LoopClock().now()
        deadline = now + timedelta(days=1)
        used = await lines.enter("used", now=now, deadline=deadline, is_counted=True)
        for number in range(1000):
            lines.leave(await lines.enter(str(number), now=now, deadline=deadline, is_counted=True))
        assert len(lines) <= 100
        assert await _is_at_head_of(lines, "used")
        lines.leave(used)
        await asyncio.sleep(61)
        for number in range(60):
            lines.leave(
                await lines.enter(f"new {number}", now=LoopClock().now(), deadline=deadline, is_counted=True)
            )
        assert len(lines) == 60

    run(work())


async def _is_at_head_of(lines: ConversationLines, conversation_id: str) -> bool:
    """Whether somebody is: another does not get in."""
    with pytest.raises(ChannelBusy):
        await lines.enter(
            conversation_id, now=LoopClock().now(), deadline=LoopClock().now() + A_SECOND, is_counted=False
        )
    return True


async def _keep_sending(connector: PacedConnector, name: str, *, until: datetime, clock: LoopClock) -> None:
    number = 0
    while clock.now() < until:
        number += 1
        try:
            await connector.send({}, at=place(f"{name}-{number}", "tenant"))
        except ChannelBusy as busy:
            await asyncio.sleep(busy.retry_after.total_seconds())


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
                _keep_sending(connector, f"{process}-{sender}", until=until, clock=clock)
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
        await _keep_sending(connector, "lone", until=clock.now() + 10 * A_SECOND, clock=clock)
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
                _keep_sending(other, f"{number}-{sender}", until=until, clock=clock)
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
        assert all(A_SECOND <= one.retry_after <= 3 * A_SECOND for one in busy)
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


def test_a_429_slows_all_processes_down_at_most_once_a_second_and_they_recover() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        one, other = paced(channel, rates=rates), paced(channel, rates=rates)
        await other.send({}, at=place("x", "tenant"))
        channel.errors = [ChannelBusy("429", retry_after=A_SECOND, slows="tenant") for _ in range(5)]
        await outcomes(*(one.send({}, at=place(str(n), "tenant"), reply_to_id="1") for n in range(5)))
        row = await InMemoryTenantRates.read(rates, "tenant")
        assert row and row.rate == 21
        channel.arrived.clear()
        until = clock.now() + 5 * A_SECOND
        await asyncio.gather(*(_keep_sending(other, str(n), until=until, clock=clock) for n in range(15)))
        assert 18 * 5 < len(channel.arrived) < 23 * 5 + 15
        await asyncio.sleep(60)
        row = await InMemoryTenantRates.read(rates, "tenant")
        assert row and row.rate_at(clock.now(), limit=30) == 30

    run(work())


@pytest.mark.parametrize("hangs", [False, True])
def test_without_the_storage_each_process_goes_on_at_an_eighth_and_says_so_once_a_minute(
    hangs: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        connector = paced(channel, rates=rates)
        await connector.send({}, at=place("x", "tenant"))
        rates.is_down, rates.takes = True, 100.0 if hangs else 0.01
        channel.arrived.clear()
        until = clock.now() + 50 * A_SECOND
        await asyncio.gather(*(_keep_sending(connector, str(n), until=until, clock=clock) for n in range(5)))
        assert 3.75 * 50 * 0.7 < len(channel.arrived) <= 3.75 * 50 + 10
        assert channel.most_in_a_second <= 5
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        rates.is_down, rates.takes = False, 0.01
        await asyncio.sleep(6)
        channel.arrived.clear()
        until = clock.now() + 10 * A_SECOND
        await asyncio.gather(*(_keep_sending(connector, str(n), until=until, clock=clock) for n in range(20)))
        assert len(channel.arrived) > 250

    run(work())


class LosingRates(Rates):
    """Somebody else writes the row just before each of our writes, while ``are_lost``."""

    def __init__(self) -> None:
        super().__init__()
        self.are_lost = False

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        row = await InMemoryTenantRates.read(self, rate.tenant_id)
        if row and self.are_lost:
            await InMemoryTenantRates.replace(self, row)
        return await super().replace(rate)


def test_a_process_that_is_never_the_first_to_write_is_told_to_come_back_and_does_not_go_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), LosingRates()
        connector = paced(channel, rates=rates)
        await connector.send({}, at=place("x", "tenant"))
        rates.are_lost = True
        for number in range(10):
            began, operations = clock.now(), rates.operations
            with pytest.raises(SendPaced) as busy:
                await connector.send({}, at=place(str(number), "tenant"))
            assert clock.now() - began <= 2 * A_SECOND
            assert A_SECOND <= busy.value.retry_after <= 2 * A_SECOND
            assert rates.operations - operations <= 12
        channel.errors.append(ChannelBusy("429", retry_after=A_SECOND, slows="tenant"))
        await outcomes(connector.send({}, at=place("y", "tenant"), reply_to_id="1"))
        assert len(channel.arrived) == 2
        rates.are_lost = False
        await connector.send({}, at=place("x", "tenant"))
        assert not caplog.records

    run(work())


def test_many_processes_at_a_slow_storage_keep_the_limit_and_none_goes_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates(takes=0.15)
        until = clock.now() + 20 * A_SECOND
        await asyncio.gather(
            *(
                _keep_sending(connector, f"{process}-{sender}", until=until, clock=clock)
                for process, connector in enumerate([paced(channel, rates=rates) for _ in range(12)])
                for sender in range(5)
            )
        )
        assert channel.most_in_a_second <= 30
        assert len(channel.arrived) >= 0.7 * 30 * 20
        assert not caplog.records

    run(work())


def test_without_the_storage_the_channels_wish_to_be_slower_is_heeded_still() -> None:
    async def work() -> None:
        clock = LoopClock()
        channel, rates = Channel(clock), Rates()
        connector = paced(channel, rates=rates)
        await connector.send({}, at=place("x", "tenant"))
        for number in range(12):
            channel.errors.append(ChannelBusy("429", retry_after=A_SECOND, slows="tenant"))
            await outcomes(connector.send({}, at=place(str(number), "tenant"), reply_to_id="1"))
            await asyncio.sleep(1)
            rates.is_down = number > 5
        channel.arrived.clear()
        until = clock.now() + 4 * A_SECOND
        await asyncio.gather(*(_keep_sending(connector, str(n), until=until, clock=clock) for n in range(5)))
        assert 1 <= len(channel.arrived) <= 10

    run(work())
