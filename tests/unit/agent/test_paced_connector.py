"""The limits of each conversation, on a stepped loop."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agent.conversation_lines import ConversationLines
from agent.ports import ChannelBusy, SendPaced, Sent
from tests.unit.agent.paced_processes import A_SECOND, Channel, outcomes, paced, place
from tests.unit.agent.stepped_loop import LoopClock, run

TEAMS = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))


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
