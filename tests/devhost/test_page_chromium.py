"""The page in a real Chromium, as a person sees it: live, doing what it says, running nothing foreign."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from azure.core.exceptions import ResourceExistsError
from azure.storage.queue import QueueClient
from playwright.async_api import Browser, Page, Request, async_playwright, expect

from devhost.storage.storage_connection import STORAGE_API_VERSION
from local.azurite import Azurite
from local.functions_host import ROOT
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.e2e.playground_page import FLAGS

pytestmark = pytest.mark.page
PICTURES = ROOT / "test-artifacts" / "devhost-page"
MARKUP = "<img src=x onerror=\"document.title='broken into'\"><b>order</b>"
WAITING = {"customer": "someone", "items": ["lamp"], "waits": True}


@pytest.fixture(scope="module")
def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    environment = {"AzureWebJobsStorage": azurite.connection_string}
    running = DevhostProcess("watched", tmp_path_factory.mktemp("watched"), environment=environment)
    yield running.wait_until_up()
    running.kill()


@pytest.fixture(scope="module")
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=chromium_path, headless=True, args=list(FLAGS)
        )
        yield opened
        await opened.close()


class Watched:
    """An open page, and what it should never have done."""

    def __init__(self, page: Page, host: DevhostProcess) -> None:
        self.page, self.base = page, f"http://127.0.0.1:{host.port}/devhost"
        self.complaints: list[str] = []
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda message: self._heard(message.text))
        page.on("request", self._note)

    def _heard(self, text: str) -> None:
        if "404 (Not Found)" not in text:  # Chromium's own line, about an instance that has just been purged
            self.complaints.append(text)

    def _note(self, request: Request) -> None:
        if not request.url.startswith(self.base):
            self.complaints.append(request.url)

    async def look_at(self, view: str) -> None:
        await self.page.goto(f"{self.base}#/{view}")
        await expect(self.page.get_by_role("navigation")).to_be_visible()

    async def press(self, name: str) -> None:
        await self.page.get_by_role("button", name=name, exact=True).click()

    async def confirm(self, name: str) -> None:
        await self.page.get_by_role("dialog").get_by_role("button", name=name).click()

    async def says(self, text: str) -> None:
        await expect(self.page.get_by_role("status")).to_have_text(re.compile(text))


@pytest.fixture
async def watched(browser: Browser, host: DevhostProcess) -> AsyncIterator[Watched]:
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    opened = Watched(await context.new_page(), host)
    yield opened
    await context.close()
    assert opened.complaints == []


async def test_a_run_shows_while_one_looks_on(watched: Watched, host: DevhostProcess) -> None:
    await watched.look_at("functions")
    row = watched.page.locator("tbody", has_text="get_order")
    before = await row.locator("[data-label=Failed]").inner_text()
    await row.get_by_role("button").click()
    host.call("GET", "/api/orders/none")
    await expect(row.locator("[data-label=Failed]")).to_have_text(str(int(before) + 1))
    await expect(row.get_by_text("KeyError: 'there is no such order'").first).to_be_visible()
    await expect(row.get_by_role("button")).to_be_focused()  # what was pressed keeps the focus


async def test_an_instance_is_found_and_told_an_event(watched: Watched, host: DevhostProcess) -> None:
    host.start("fulfil_order", "courier-1", WAITING)
    host.start("fulfil_order", "other", WAITING)
    await watched.look_at("instances")
    await watched.page.get_by_label("Id begins with").fill("courier")
    await expect(watched.page.locator(".instances tbody tr")).to_have_count(1)
    await watched.page.get_by_role("link", name="courier-1").click()
    detail = watched.page.get_by_role("region", name="Instance", exact=True)
    await expect(detail.get_by_text("waiting for the courier")).to_be_visible(timeout=15_000)
    await watched.press("Raise event")
    await watched.page.get_by_label("Name").fill("picked_up")
    await watched.page.get_by_label("Data (JSON)").fill('{"by": "van"}')
    await watched.confirm("Raise")
    await watched.says("picked_up was raised.")
    await expect(detail.locator(".title .status")).to_have_text("Completed")
    await expect(detail.locator(".timeline li.event .what")).to_have_text("picked_up")


async def test_data_that_is_no_json_is_not_sent(watched: Watched, host: DevhostProcess) -> None:
    host.start("fulfil_order", "typo", WAITING)
    await watched.look_at("instances/typo")
    await watched.press("Raise event")
    await watched.page.get_by_label("Name").fill("picked_up")
    await watched.page.get_by_label("Data (JSON)").fill("{by: van}")
    await watched.confirm("Raise")
    await watched.says("The data is no JSON.")


async def test_an_instance_is_suspended_resumed_terminated_and_purged(
    watched: Watched, host: DevhostProcess
) -> None:
    host.start("fulfil_order", "handled", WAITING)
    await watched.look_at("instances/handled")
    status = watched.page.locator("section.detail .title .status")
    await watched.press("Suspend")
    await expect(status).to_have_text("Suspended")
    await watched.press("Resume")
    await expect(status).to_have_text("Running")
    await watched.press("Terminate")
    await watched.page.keyboard.press("Escape")  # no is no
    await expect(status).to_have_text("Running")
    await watched.press("Terminate")
    await watched.page.get_by_label("Reason").fill("not wanted")
    await watched.confirm("Terminate")
    await expect(status).to_have_text("Terminated")
    await expect(watched.page.locator(".timeline li.terminated")).to_contain_text("not wanted")
    await watched.press("Purge")
    await watched.confirm("Purge")
    await watched.says("handled is purged.")
    assert host.durable("GET", "instances/handled").status == 404


async def test_a_failure_is_red_and_says_why(watched: Watched, host: DevhostProcess) -> None:
    host.start("take_payment", "stolen-card", {"card": "stolen"})
    host.ended("stolen-card")
    await watched.look_at("instances/stolen-card")
    bars = watched.page.locator(".timeline li.activity.failed")
    await expect(bars).to_have_count(3)
    await expect(bars.first.locator(".reason")).to_contain_text(
        "PermissionError: the card was reported stolen"
    )
    red = await bars.first.locator(".bar").evaluate("bar => getComputedStyle(bar).backgroundColor")
    assert red == "rgb(192, 43, 48)"


async def test_poison_messages_are_shown_as_text_and_go_back(
    watched: Watched, host: DevhostProcess, azurite: Azurite
) -> None:
    with QueueClient.from_connection_string(
        azurite.connection_string, "orders-poison", api_version=STORAGE_API_VERSION
    ) as poison:
        with suppress(ResourceExistsError):
            poison.create_queue()
        poison.clear_messages()
        poison.send_message(MARKUP)
    await watched.look_at("queues")
    await watched.press("orders")
    await expect(watched.page.locator(".messages pre")).to_have_text(MARKUP)
    assert await watched.page.locator(".messages img, .messages b").count() == 0
    await watched.press("Resubmit")
    await watched.says("The message is on orders again.")
    assert await watched.page.title() == "watched on devhost"


async def test_a_timer_is_fired(watched: Watched, host: DevhostProcess) -> None:
    await watched.look_at("timers")
    row = watched.page.locator("tbody", has_text="send_digest")
    await expect(row).to_contain_text("0 0 6 * * Mon-Fri")
    await row.get_by_role("button", name="Run now").click()
    await watched.says("send_digest runs.")
    until(lambda: host.log.count("Executed 'Functions.send_digest' (Succeeded") == 1)


async def test_the_keyboard_alone_opens_and_closes_an_instance(
    watched: Watched, host: DevhostProcess
) -> None:
    host.start("take_payment", "by-keyboard", {})
    host.ended("by-keyboard")
    await watched.look_at("instances")
    await watched.page.get_by_label("Id begins with").fill("by-keyboard")
    link = watched.page.get_by_role("link", name="by-keyboard")
    await expect(link).to_be_visible()
    await link.focus()
    await watched.page.keyboard.press("Enter")
    await expect(watched.page.get_by_role("heading", name="take_payment")).to_be_visible()
    await watched.page.keyboard.press("Escape")
    await expect(watched.page.get_by_role("heading", name="take_payment")).to_be_hidden()
    assert await watched.page.get_by_label("Id begins with").input_value() == "by-keyboard"


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_fits_wide_and_narrow(browser: Browser, host: DevhostProcess, scheme: str) -> None:
    host.start("fulfil_order", "pictured", WAITING)
    context = await browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    opened = Watched(await context.new_page(), host)
    PICTURES.mkdir(parents=True, exist_ok=True)
    for view in ("functions", "instances", "instances/pictured", "entities", "queues", "timers"):
        await opened.look_at(view)
        await expect(opened.page.get_by_role("main")).not_to_contain_text("Loading")
        for width in (1280, 420):
            await opened.page.set_viewport_size({"width": width, "height": 820})
            overflow = await opened.page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert overflow <= 0, (view, width)
            picture = f"{view.replace('/', '-')}-{scheme}-{width}.png"
            await opened.page.screenshot(path=PICTURES / picture)
    back = await opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert back == {"light": "rgb(246, 247, 249)", "dark": "rgb(17, 20, 24)"}[scheme]
    await context.close()
    assert opened.complaints == []


async def test_with_enable_auth_it_asks_for_the_master_key(
    browser: Browser, start_host: StartHost, tmp_path: Path
) -> None:
    locked = start_host("ticking", arguments=("start", "--enable-auth")).wait_until_up()
    master = json.loads((tmp_path / "data" / "keys.json").read_text())["masterKey"]
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{locked.port}/devhost")
    await page.get_by_role("textbox", name="Key").fill("wrong")
    await page.keyboard.press("Enter")
    await page.get_by_role("textbox", name="Key").fill(master)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="ticking")).to_be_visible()
    await page.close()


async def test_a_host_that_is_gone_is_said_to_be(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("gone")
    gone = DevhostProcess("everything", place).wait_until_up()
    page = await browser.new_page()
    await page.goto(f"http://127.0.0.1:{gone.port}/devhost")
    await expect(page.get_by_role("heading", name="everything")).to_be_visible()
    gone.kill()
    await expect(page.get_by_text("devhost does not answer; trying on")).to_be_visible()
    again = DevhostProcess("everything", place, port=gone.port).wait_until_up()
    await expect(page.get_by_text("devhost does not answer; trying on")).to_be_hidden(timeout=15_000)
    await page.close()
    again.kill()
