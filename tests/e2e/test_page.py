"""A person at the Playground's page in Chromium: they type, press a button, and see what comes back."""

import asyncio
import time
from itertools import pairwise

import pytest
from playwright.async_api import Locator

from local.functions_host import ROOT
from local.playground import playground_url
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import until_jobs_wait
from tests.e2e.playground_page import PlaygroundPage, open_page

PICTURES = ROOT / "test-artifacts"
THANKS = "Thank you for ordering a laptop"
LOOK_AGAIN_SECONDS = 0.1
CURSOR = "| \n"  # the page shows one while a stream lasts

# Time enough to see each step, and little enough to wait for.
SLOWER = {"OrderWaitSeconds": "5", "OrderDeliverySeconds": "8"}


@pytest.mark.page
async def test_a_person_sees_the_order_move_on_in_its_card_and_both_follow_ups(
    run_stack: RunStack, chromium_path: str
) -> None:
    with run_stack(SLOWER) as stack:
        async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
            await page.card("Here is what I can do", seconds=20)
            await page.keep_picture(PICTURES / "1-welcome.png")
            await page.say("order a laptop")
            order = await page.newest_card(THANKS, seconds=20)
            await page.says(order, "was taken and waits to be placed (10%)", seconds=20)
            await page.keep_picture(PICTURES / "2-taken.png")
            await page.bubble("successfully placed your order", seconds=30)
            await page.says(order, "is placed and on its way (50%)", seconds=30)
            await page.keep_picture(PICTURES / "3-placed.png")
            await page.card("Your order was delivered", seconds=30)
            await page.says(order, "Done", seconds=30)
            await page.has_no_button(order)
            await page.keep_picture(PICTURES / "4-delivered.png")
            assert await page.count(THANKS) == 1


@pytest.mark.page
async def test_a_person_orders_with_the_button_of_the_welcome_card(stack: Stack, chromium_path: str) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.say("hello")
        welcome = await page.card("Here is what I can do", seconds=20)
        await page.press(welcome, "Order a laptop")
        await page.card(THANKS, seconds=20)
        await page.card("Your order was delivered", seconds=40)
        await page.keep_picture(PICTURES / "5-ordered-by-button.png")


@pytest.mark.page
async def test_a_person_sees_how_orders_are_and_cancels_one_there_and_one_on_its_own_card(
    run_stack: RunStack, chromium_path: str
) -> None:
    with run_stack({"OrderWaitSeconds": "600"}) as stack:
        async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
            await page.card("Here is what I can do", seconds=20)
            await page.say("order a laptop")
            await page.newest_card(THANKS, seconds=20)
            await until_jobs_wait(stack)
            await page.say("my orders")
            listed = await page.newest_card("Your jobs", seconds=20)
            await page.says(listed, "waits to be placed (10%)", seconds=20)
            await page.keep_picture(PICTURES / "6-my-orders.png")
            await page.press(listed, "Cancel")
            await page.bubble("I have cancelled your order #1292", seconds=30)

            await page.say("order a laptop")
            order = await page.newest_card(THANKS, seconds=20)
            await page.says(order, "Order #1293 was taken", seconds=20)
            await page.press(order, "Cancel")
            await page.bubble("I have cancelled your order #1293", seconds=30)
            await page.says(order, "Cancelled", seconds=20)
            await page.has_no_button(order)
            await page.keep_picture(PICTURES / "7-cancelled.png")

            await page.say("status")
            ended = await page.newest_card("Your jobs", seconds=20)
            await page.says(ended, "Cancelled", seconds=20)
            await page.has_no_button(ended)
            await page.keep_picture(PICTURES / "8-nothing-runs.png")


@pytest.mark.page
async def test_a_person_approves_with_a_comment_and_the_card_shows_it(
    stack: Stack, chromium_path: str
) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.say("I need a licence for Sketch")
        asked = await page.newest_card("May a licence for Sketch be given out?", seconds=20)
        await page.keep_picture(PICTURES / "9-asked.png")
        await asked.get_by_placeholder("May be left empty").fill("for a year")
        await page.press(asked, "Approve")
        for words in ("Approved", "Alex Wilber", "for a year"):
            await page.says(asked, words, seconds=20)
        await page.has_no_button(asked)
        await page.bubble("Here is your licence for Sketch, approved by", seconds=30)
        await page.keep_picture(PICTURES / "10-approved.png")


@pytest.mark.page
async def test_a_person_sees_an_answer_grow_in_one_message(stack: Stack, chromium_path: str) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.say("How do I cancel a job?")
        answer = await page.bubble("Say 'cancel'", seconds=20)
        seen = await grown(answer, "nothing else.", page=page, seconds=60)
        assert len(seen) > 1
        assert all(longer.startswith(shorter) for shorter, longer in pairwise(seen)), seen
        await page.is_labelled("AI generated", seconds=20)
        await page.keep_picture(PICTURES / "12-answered.png")
        assert await page.count("Say 'cancel'") == 1
        assert await page.count("Let me think about that.") == 0


async def grown(answer: Locator, last_words: str, *, page: PlaygroundPage, seconds: float) -> list[str]:
    """Each text that the answer had until its last words were there."""
    seen: list[str] = []
    deadline = time.monotonic() + seconds
    while not seen or last_words not in seen[-1]:
        assert time.monotonic() < deadline, seen
        text = (await answer.inner_text()).rstrip(CURSOR)
        if not seen or text != seen[-1]:
            seen.append(text)
        if len(seen) == 1:
            await page.keep_picture(PICTURES / "11-answer-grows.png")
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    return seen


@pytest.mark.page
async def test_in_a_group_chat_a_person_is_mentioned_when_there_is_news(
    stack: Stack, chromium_path: str
) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.open_group_chat()
        await page.call("order a laptop")
        order = await page.newest_card(THANKS, seconds=20)
        await page.bubble("Alex Wilber Great! I have successfully placed your order", seconds=30)
        await page.card("Your order was delivered", seconds=30)
        await page.says(order, "Done", seconds=30)
        await page.keep_picture(PICTURES / "13-group-chat.png")


@pytest.mark.page
async def test_no_tool_tried_to_call_another_machine_meanwhile(stack: Stack) -> None:
    assert list(stack.logs.glob("*-refused.log")) == []
