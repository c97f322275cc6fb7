"""The main job through the Playground's endpoints: a turn, its follow-up, a queue message, the digest."""

import json
import re

import aiohttp

from local.functions_host import functions_url
from local.playground import playground_url
from local.playground_driver import PlaygroundDriver, Shown
from local.send import proactive_message, put_on_queue
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import states_once_ended, until_jobs_wait

PLACED = "I have successfully placed your order"
DELIVERED = "Your order was delivered"
CANCELLED = "I have cancelled your order"


async def test_installing_the_agent_brings_one_welcome_card(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.install()
    welcome = await playground.wait_for("Hello! Here is what I can do", seconds=10)
    assert welcome.content["attachments"][0]["contentType"] == "application/vnd.microsoft.card.adaptive"
    await playground.install()
    await playground.say("do something")
    await playground.wait_for("order a laptop", seconds=10, since=1)
    assert playground.count("Hello! Here is what I can do") == 1


async def test_an_order_is_acknowledged_then_placed_then_delivered(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.say("Please, ORDER a Laptop!")
    await playground.wait_for("Thank you for ordering a laptop", seconds=10)
    placed = await playground.wait_for(PLACED, seconds=30)
    number = re.search(r"#\d+", placed.everything)
    assert number
    await playground.wait_for(DELIVERED, number[0], seconds=30)
    assert [playground.count(text) for text in ("Thank you", PLACED, DELIVERED)] == [1, 1, 1]


async def test_pressing_the_button_of_the_welcome_card_orders(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.say("hello")
    welcome = await playground.wait_for("Hello! Here is what I can do", seconds=10)
    actions = welcome.content["attachments"][0]["content"]["actions"]
    [order] = [action for action in actions if action["title"] == "Order a laptop"]
    await playground.press(welcome, order["data"])
    await playground.wait_for("Thank you for ordering a laptop", seconds=10)
    await playground.wait_for(PLACED, seconds=30)


async def test_an_order_is_listed_and_cancelled_by_its_button(run_stack: RunStack) -> None:
    # Time enough to press the button; nothing comes by itself before the order is cancelled.
    with run_stack({"OrderWaitSeconds": "600"}) as stack:
        async with PlaygroundDriver(playground_url(stack.ports)) as playground:
            await playground.say("my orders, please")
            await playground.wait_for("You have no jobs", seconds=20)
            await playground.say("order a laptop")
            await playground.wait_for("Thank you for ordering a laptop", seconds=20)
            await until_jobs_wait(stack)
            await playground.say("Status?")
            listed = await playground.wait_for("Your jobs", seconds=20)
            assert "was taken and waits to be placed (10%)" in listed.everything
            await playground.press(listed, cancel_data(listed))
            await playground.wait_for("I am cancelling: Order a laptop.", seconds=20)
            await playground.wait_for(CANCELLED, seconds=20)
            assert await states_once_ended(stack) == ["Completed"]
            await playground.press(listed, cancel_data(listed))
            await playground.wait_for("This has ended already: Order a laptop (cancelled).", seconds=20)
            await playground.say("status")
            await playground.wait_for("Order a laptop: cancelled", seconds=20)
            once = ("Thank you", "I am cancelling", CANCELLED, "has ended already")
            assert [playground.count(text) for text in once] == [1] * len(once)
            assert playground.count(PLACED) == playground.count(DELIVERED) == 0


def cancel_data(listed: Shown) -> dict[str, str]:
    """The data of the one Cancel button of a list of jobs."""
    (job_id,) = re.findall(r'"cancel": "(\w+)"', listed.everything)
    return {"cancel": job_id}


async def test_a_message_on_the_queue_reaches_the_person(stack: Stack, playground: PlaygroundDriver) -> None:
    body = json.dumps(proactive_message("The desk is ready", delivery_id="desk-1"))
    put_on_queue(body, connection_string=stack.connection_string)
    await playground.wait_for("The desk is ready", seconds=20)
    put_on_queue(body, connection_string=stack.connection_string)
    put_on_queue(
        json.dumps(proactive_message("The chair is ready")), connection_string=stack.connection_string
    )
    await playground.wait_for("The chair is ready", seconds=20)
    assert playground.count("The desk is ready") == 1


async def test_a_posted_notification_reaches_the_person(stack: Stack, playground: PlaygroundDriver) -> None:
    message = proactive_message("The lamp is ready", delivery_id="lamp-1")
    url = f"{functions_url(stack.ports)}/api/notifications"
    async with aiohttp.ClientSession() as session, session.post(url, json=message) as answer:
        assert (answer.status, await answer.json()) == (
            202,
            {"deliveryId": "lamp-1", "state": "accepted"},
        )
    await playground.wait_for("The lamp is ready", seconds=20)


async def test_the_digest_comes_once_a_day_however_often_the_timer_fires(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    url = f"{functions_url(stack.ports)}/admin/functions/send_daily_digest"
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(url, json={"input": ""}) as answer:
                assert answer.status == 202
    digest = await playground.wait_for("Your orders", seconds=20)
    assert "#" in digest.content["text"]
    # Once a later message has come, a second digest would have come too.
    put_on_queue(json.dumps(proactive_message("After the digest")), connection_string=stack.connection_string)
    await playground.wait_for("After the digest", seconds=20)
    assert playground.count("Your orders") == 1
