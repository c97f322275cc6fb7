"""The Playground's page in a headless Chromium, as a person uses it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Locator, Page, async_playwright, expect

# Nothing that Chromium does for itself in the background; root in a container has no sandbox.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class PlaygroundPage:
    """The chat of the open page that is looked at: at first the personal one."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._box = page.locator('div[role="textbox"][contenteditable="true"]')

    async def say(self, text: str) -> None:
        await self._box.last.click()
        await self._page.keyboard.type(text)
        await self._page.get_by_role("button", name="Send Message").last.click()

    async def call(self, text: str) -> None:
        """Say it to the agent in a group chat, where it is mentioned for that."""
        await self._box.last.click()
        await self._page.keyboard.type("@Afterword"[:3], delay=60)  # a list to choose from comes up
        await self._page.get_by_role("menuitem", name="Afterword").click()
        await self._page.keyboard.type(f" {text}")
        await self._page.get_by_role("button", name="Send Message").last.click()

    async def open_group_chat(self) -> None:
        await self._page.get_by_role("treeitem", name="Group Chat").click()
        await self.ready(seconds=20)

    async def bubble(self, text: str, *, seconds: float) -> Locator:
        """The agent's last message with ``text``, once it is visible."""
        return await self._visible(self._page.locator(".fai-OutputCard"), text, seconds)

    async def card(self, text: str, *, seconds: float) -> Locator:
        """The last Adaptive Card with ``text``, once it is visible."""
        return await self._visible(self._page.locator(".ac-adaptiveCard"), text, seconds)

    async def newest_card(self, text: str, *, seconds: float) -> Locator:
        """The newest card, once it says ``text``: the place itself, whatever the card is changed to."""
        cards = self._page.locator(".ac-adaptiveCard")
        await self.says(cards.last, text, seconds=seconds)
        return cards.nth(await cards.count() - 1)

    async def says(self, place: Locator, text: str, *, seconds: float) -> None:
        """Until what stands in this place has ``text``."""
        await expect(place).to_contain_text(text, timeout=seconds * 1000)

    async def is_labelled(self, label: str, *, seconds: float) -> None:
        """Until one message has this label beside its time."""
        await expect(self._page.get_by_text(label, exact=True)).to_be_visible(timeout=seconds * 1000)

    async def has_no_button(self, card: Locator) -> None:
        await expect(card.get_by_role("button")).to_have_count(0, timeout=5000)

    async def count(self, text: str) -> int:
        """How many of the agent's messages have ``text``."""
        return await self._page.locator(".fai-OutputCard").filter(has_text=text).count()

    async def press(self, card: Locator, title: str) -> None:
        await card.get_by_role("button", name=title, exact=True).click()

    async def keep_picture(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        await self._page.screenshot(path=path)

    async def ready(self, *, seconds: float) -> None:
        await self._box.wait_for(timeout=seconds * 1000)

    async def _visible(self, among: Locator, text: str, seconds: float) -> Locator:
        found = among.filter(has_text=text).last
        await found.wait_for(timeout=seconds * 1000)
        await found.scroll_into_view_if_needed()
        return found


@asynccontextmanager
async def open_page(url: str, *, chromium_path: str) -> AsyncIterator[PlaygroundPage]:
    """Open the Playground at ``url``, which installs the agent; what is not on this machine is not loaded."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium_path, headless=True, args=list(FLAGS)
        )
        try:
            page = await browser.new_page(viewport={"width": 1400, "height": 1000})
            await page.route(lambda target: not target.startswith(url), lambda route: route.abort())
            async with page.expect_request(lambda request: request.url.endswith("/installation")):
                await page.goto(f"{url}/")
            opened = PlaygroundPage(page)
            await opened.ready(seconds=20)
            yield opened
        finally:
            await browser.close()
