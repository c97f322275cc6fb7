"""A person at the Playground's page in Chromium: they type, press a button, and see what comes back."""

import pytest

from local.functions_host import ROOT
from local.playground import playground_url
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import until_jobs_wait
from tests.e2e.playground_page import open_page

PICTURES = ROOT / "test-artifacts"


@pytest.mark.page
async def test_a_person_sees_the_welcome_the_acknowledgement_and_both_follow_ups(
    stack: Stack, chromium_path: str
) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.card("Here is what I can do", seconds=20)
        await page.keep_picture(PICTURES / "1-welcome.png")
        await page.say("order a laptop")
        await page.bubble("Thank you for ordering a laptop", seconds=10)
        await page.keep_picture(PICTURES / "2-acknowledged.png")
        await page.bubble("successfully placed your order", seconds=30)
        await page.card("Your order was delivered", seconds=30)
        await page.keep_picture(PICTURES / "3-delivered.png")


@pytest.mark.page
async def test_a_person_orders_with_the_button_of_the_welcome_card(stack: Stack, chromium_path: str) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.say("hello")
        welcome = await page.card("Here is what I can do", seconds=20)
        await page.press(welcome, "Order a laptop")
        await page.bubble("Thank you for ordering a laptop", seconds=10)
        await page.card("Your order was delivered", seconds=40)
        await page.keep_picture(PICTURES / "4-ordered-by-button.png")


@pytest.mark.page
async def test_a_person_sees_how_an_order_is_and_cancels_it(run_stack: RunStack, chromium_path: str) -> None:
    with run_stack({"OrderWaitSeconds": "600"}) as stack:
        async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
            await page.say("order a laptop")
            await page.bubble("Thank you for ordering a laptop", seconds=20)
            await until_jobs_wait(stack)
            await page.say("my orders")
            listed = await page.card("waits to be placed (10%)", seconds=20)
            await page.keep_picture(PICTURES / "5-my-orders.png")
            await page.press(listed, "Cancel")
            await page.bubble("I have cancelled your order", seconds=30)
            await page.say("status")
            ended = await page.card("cancelled", seconds=20)
            assert await ended.get_by_role("button", name="Cancel", exact=True).count() == 0
            await page.keep_picture(PICTURES / "6-cancelled.png")


@pytest.mark.page
async def test_a_person_approves_with_a_comment_and_the_card_shows_it(
    stack: Stack, chromium_path: str
) -> None:
    async with open_page(playground_url(stack.ports), chromium_path=chromium_path) as page:
        await page.say("I need a licence for Sketch")
        asked = await page.card("May a licence for Sketch be given out?", seconds=20)
        await page.keep_picture(PICTURES / "7-asked.png")
        await asked.get_by_placeholder("May be left empty").fill("for a year")
        await page.press(asked, "Approve")
        ended = await page.card("for a year", seconds=20)
        assert await ended.get_by_role("button").count() == 0
        await page.card("Approved", seconds=20)
        await page.bubble("Here is your licence for Sketch, approved by", seconds=30)
        await page.keep_picture(PICTURES / "8-approved.png")


@pytest.mark.page
async def test_no_tool_tried_to_call_another_machine_meanwhile(stack: Stack) -> None:
    assert list(stack.logs.glob("*-refused.log")) == []
