"""A tenant's limit where the channel, the storage or others stand in the way, on a stepped loop."""

import asyncio

import pytest

from adapters.in_memory import InMemoryTenantRates
from agent.pacing import TenantRate
from agent.ports import ChannelBusy, SendPaced
from tests.unit.agent.paced_processes import A_SECOND, Channel, Rates, keep_sending, outcomes, paced, place
from tests.unit.agent.stepped_loop import LoopClock, run


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
        await asyncio.gather(*(keep_sending(other, str(n), until=until, clock=clock) for n in range(15)))
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
        await asyncio.gather(*(keep_sending(connector, str(n), until=until, clock=clock) for n in range(5)))
        assert 3.75 * 50 * 0.7 < len(channel.arrived) <= 3.75 * 50 + 10
        assert channel.most_in_a_second <= 5
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        rates.is_down, rates.takes = False, 0.01
        await asyncio.sleep(6)
        channel.arrived.clear()
        until = clock.now() + 10 * A_SECOND
        await asyncio.gather(*(keep_sending(connector, str(n), until=until, clock=clock) for n in range(20)))
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
                keep_sending(connector, f"{process}-{sender}", until=until, clock=clock)
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
        await asyncio.gather(*(keep_sending(connector, str(n), until=until, clock=clock) for n in range(5)))
        assert 1 <= len(channel.arrived) <= 10

    run(work())
