"""devhost killed with -9 at a bad moment and started again: what was promised comes, and comes once."""

import asyncio
import signal
from collections.abc import Iterator

import aiohttp
import pytest

from local.playground_driver import PlaygroundDriver
from local.stack import Stack
from testconnector.server import running
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import job_states, states_once_ended
from tests.e2e.test_main_job import DELIVERED, PLACED
from tests.e2e.turns import message_turn, post_turn

ACKNOWLEDGED = "Thank you for ordering a laptop"
POSTED = "I will keep you posted with updates."


@pytest.fixture(scope="module")
def stack(run_stack: RunStack) -> Iterator[Stack]:
    """A start takes seconds, and what a dead turn began waits for it: an order is not delivered meanwhile."""
    with run_stack({"OrderDeliverySeconds": "12"}) as running_stack:
        yield running_stack


def kill_functions_host(stack: Stack) -> None:
    assert stack.functions_host is not None
    stack.functions_host.kill()
    assert stack.functions_host.exit_code == -signal.SIGKILL


async def told(playground: PlaygroundDriver, stack: Stack) -> list[int]:
    """How often each step of one order was told, once nobody has anything left to tell."""
    await playground.wait_for(PLACED, seconds=60)
    await playground.wait_for(DELIVERED, seconds=60)
    assert set(await states_once_ended(stack)) == {"Completed"}
    return [playground.count(text) for text in (ACKNOWLEDGED, PLACED, DELIVERED)]


async def test_a_kill_between_acknowledgement_and_follow_up_loses_nothing_and_doubles_nothing(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    saying = asyncio.create_task(playground.say("order a laptop"))
    await playground.wait_for(ACKNOWLEDGED, seconds=10)
    kill_functions_host(stack)
    await asyncio.gather(saying, return_exceptions=True)  # the turn may have been cut off after its answer
    assert playground.count(PLACED) == 0
    stack.start_functions_host()
    assert await told(playground, stack) == [1, 1, 1]


async def test_a_kill_before_the_acknowledgement_is_made_good_by_the_next_delivery(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    jobs_before = len(await job_states(stack))
    async with running() as connector:
        turn = message_turn("order a laptop", playground=playground, ports=stack.ports)
        turn["serviceUrl"] = connector.url
        connector.faults.add({"effect": {"hold": "before"}})
        first = asyncio.create_task(post_turn(turn, ports=stack.ports))
        await asyncio.wait_for(connector.recording.next_call(lambda call: call.operation == "reply"), 20)
        kill_functions_host(stack)  # the job is stored, and the acknowledgement on its way
        assert isinstance((await asyncio.gather(first, return_exceptions=True))[0], aiohttp.ClientError)
        connector.faults.clear()
        stack.start_functions_host()
        statuses = [(await post_turn(turn, ports=stack.ports))[0] for _ in range(2)]
        assert set(await states_once_ended(stack)) == {"Completed"}
        assert statuses == [200, 200]
        assert [text for text in connector.texts if ACKNOWLEDGED in text] == [f"{ACKNOWLEDGED}. {POSTED}"]
        assert len([text for text in connector.texts if PLACED in text]) == 1
    assert len(await job_states(stack)) == jobs_before + 1


async def test_a_redelivered_turn_starts_no_second_job_and_says_nothing(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    turn = message_turn("order a laptop", playground=playground, ports=stack.ports)
    jobs_before = len(await job_states(stack))
    assert (await post_turn(turn, ports=stack.ports))[0] == 200
    assert (await post_turn(turn, ports=stack.ports))[0] == 200
    assert await told(playground, stack) == [1, 1, 1]
    await playground.pass_on(turn)  # and once more, after the job has ended
    await playground.say("and now")
    await playground.wait_for("I did not get that", seconds=10)
    assert playground.count(ACKNOWLEDGED) == 1
    assert len(await states_once_ended(stack)) == jobs_before + 1


async def test_two_deliveries_of_one_turn_at_the_same_time_start_one_job(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    turn = message_turn("order a laptop", playground=playground, ports=stack.ports)
    jobs_before = len(await job_states(stack))
    answers = await asyncio.gather(*(post_turn(turn, ports=stack.ports) for _ in range(4)))
    statuses = {status for status, _, _ in answers}
    assert 200 in statuses
    assert statuses <= {200, 503}  # 503: come back later, another delivery is at work
    assert await told(playground, stack) == [1, 1, 1]
    assert len(await job_states(stack)) == jobs_before + 1


async def test_a_turn_redelivered_after_a_kill_is_answered_by_the_first_delivery_alone(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    turn = message_turn("order a laptop", playground=playground, ports=stack.ports)
    jobs_before = len(await job_states(stack))
    assert (await post_turn(turn, ports=stack.ports))[0] == 200
    await playground.wait_for(ACKNOWLEDGED, seconds=10)
    kill_functions_host(stack)
    stack.start_functions_host()
    assert (await post_turn(turn, ports=stack.ports))[0] == 200
    assert await told(playground, stack) == [1, 1, 1]
    assert len(await job_states(stack)) == jobs_before + 1
