"""The scenes of `make demo`: what a person says and presses, and what must come of it."""

import asyncio
from collections.abc import Awaitable

import aiohttp

from local.functions_host import functions_url
from local.playground_driver import PlaygroundDriver, Shown
from local.processes import StackError
from local.send import send
from local.stack import Stack
from local.transcript import Transcript

PROACTIVE_TEXT = "Your laptop waits at the desk"
QUESTION = "How do I cancel a job?"
ANSWER_BEGINS = "Say 'cancel'"
LICENCE = "request a licence for Sketch"
SOON, LATER = 15.0, 60.0  # seconds that are waited for what comes at once, and in the background


class Scenes:
    """Plays one scene after the other, and notes in the transcript what did not come."""

    def __init__(self, playground: PlaygroundDriver, stack: Stack, transcript: Transcript) -> None:
        self._playground = playground
        self._stack = stack
        self._transcript = transcript

    async def play(self) -> None:
        asked = await self._transcript.begin("Alex", "(adds the agent)", self._playground.install)
        await self._comes("welcome", "Order a laptop", asked=asked)
        ordered, order = await self._order()
        await self._says("status", "list of jobs", "Your jobs")
        await self._ask()
        await self._follow(order, ordered)
        await self._cancel()
        await self._approve()
        asked = await self._transcript.begin("timer", "send_daily_digest is fired", self._fire_digest)
        await self._comes("digest", "Your orders", asked=asked)
        await self._see_it_delivered(order, ordered)

    async def _order(self) -> tuple[float, Shown | None]:
        """When the laptop was ordered, and the order's card."""
        since = len(self._playground.shown)
        asked = await self._say("order a laptop")
        order = await self._comes("order's card", "Thank you for ordering", asked=asked, since=since)
        return asked, order

    async def _ask(self) -> None:
        """The answer to a question grows piece by piece, in one message."""
        since = len(self._playground.shown)
        asked = await self._say(QUESTION)
        opened = self._playground.wait_until(
            lambda shown: shown.stream_type == "informative" and not shown.is_update,
            wanted="a stream",
            seconds=SOON,
            since=since,
        )
        begun = await self._transcript.answer("stream opened", opened, asked=asked)
        if begun is None:
            return
        grown = ANSWER_BEGINS
        for what in ("answer's first words", "more of the answer"):
            longer = self._grows(begun, beyond=grown, since=since)
            piece = await self._transcript.answer(what, longer, asked=asked)
            grown = piece.text if piece else grown
        final = self._playground.wait_until(
            lambda shown: (
                shown.message_id == begun.message_id
                and shown.stream_type == "final"
                and shown.text.startswith(grown)
                and all(part in shown.everything for part in ("AIGeneratedContent", '"citation"'))
            ),
            wanted="the whole answer with its citations and its label",
            seconds=LATER,
            since=since,
        )
        await self._transcript.answer("whole answer", final, asked=asked)

    def _grows(self, begun: Shown, *, beyond: str, since: int) -> Awaitable[Shown]:
        """The next update of the stream, which begins with the text that was shown before it."""
        return self._playground.wait_until(
            lambda shown: (
                shown.message_id == begun.message_id
                and shown.stream_type == "streaming"
                and shown.text.startswith(beyond)
                and len(shown.text) > len(beyond)
            ),
            wanted="a longer part of the answer in the same message",
            seconds=SOON,
            since=since,
        )

    async def _follow(self, order: Shown | None, ordered: float) -> None:
        """While the order is under way another system speaks; then it is placed, and its card moves."""
        asked = await self._transcript.begin("queue", f"puts a message on: {PROACTIVE_TEXT}", self._put)
        await self._comes("proactive message", PROACTIVE_TEXT, asked=asked)
        await self._comes("follow-up", "successfully placed your order", asked=ordered, seconds=LATER)
        await self._moves("order's progress", order, "Running", "(50%)", asked=ordered)

    async def _cancel(self) -> None:
        """A second order is cancelled; as two jobs run, "cancel" asks which."""
        _, order = await self._order()
        listed = await self._says("cancel", "list of two jobs", "Which of your jobs", '"cancel"')
        if listed is None:
            return
        data = listed.button("Cancel")["data"]
        asked = await self._transcript.begin(
            "Alex", "(presses the first Cancel)", lambda: self._playground.press(listed, data)
        )
        await self._comes("cancelled", "I have cancelled your order", asked=asked, seconds=LATER)
        await self._moves("cancelled order's card", order, '"Cancelled"', asked=asked)

    async def _approve(self) -> None:
        asked = await self._say(LICENCE)
        card = await self._comes("licence's card", "I will ask whether", asked=asked)
        question = await self._comes("question", "Your answer is needed", '"Approve"', asked=asked)
        if question is None:
            return
        approve = question.button("Approve")
        data = {**approve["data"], "comment": "for a year"}
        asked = await self._transcript.begin(
            "Alex",
            '(writes the comment "for a year", presses Approve)',
            lambda: self._playground.execute(question, approve["verb"], data),
        )
        await self._moves("answered question", question, '"Approved"', "for a year", asked=asked)
        await self._comes("licence", "Here is your licence for Sketch", asked=asked, seconds=LATER)
        await self._moves("licence's end", card, '"Done"', asked=asked)

    async def _see_it_delivered(self, order: Shown | None, ordered: float) -> None:
        delivered = self._playground.wait_until(
            is_delivered_card, wanted="the delivered card", seconds=LATER, since=1
        )
        await self._transcript.answer("delivered card", delivered, asked=ordered)
        await self._moves("order's end", order, '"Done"', asked=ordered)

    async def _say(self, text: str) -> float:
        return await self._transcript.begin("Alex", text, lambda: self._playground.say(text))

    async def _says(self, text: str, what: str, *parts: str) -> Shown | None:
        since = len(self._playground.shown)
        return await self._comes(what, *parts, asked=await self._say(text), since=since)

    async def _comes(
        self, what: str, *parts: str, asked: float, since: int = 0, seconds: float | None = None
    ) -> Shown | None:
        waiting = self._playground.wait_for(*parts, seconds=seconds or SOON, since=since)
        return await self._transcript.answer(what, waiting, asked=asked)

    async def _moves(self, what: str, card: Shown | None, *parts: str, asked: float) -> None:
        """``card`` is changed in its place, and then holds ``parts``."""
        if card is None:  # that it is missing is noted already
            return
        moved = self._playground.wait_until(
            lambda shown: (
                shown.is_update
                and shown.message_id == card.message_id
                and all(part in shown.everything for part in parts)
            ),
            wanted=f"the card, changed to {' and '.join(parts)},",
            seconds=LATER,
        )
        await self._transcript.answer(what, moved, asked=asked)

    async def _put(self) -> None:
        stack = self._stack
        await asyncio.to_thread(
            send, PROACTIVE_TEXT, connection_string=stack.connection_string, settings=stack.settings
        )

    async def _fire_digest(self) -> None:
        url = f"{functions_url(self._stack.ports)}/admin/functions/send_daily_digest"
        async with aiohttp.ClientSession() as session, session.post(url, json={"input": ""}) as answer:
            if answer.status != 202:
                raise StackError(f"POST {url} was answered with {answer.status}: {await answer.text()}")


def is_delivered_card(shown: Shown) -> bool:
    """Whether this is the card that ends a job (the welcome card and the digest speak of delivery too)."""
    return bool(shown.content.get("attachments")) and "Your order was delivered" in shown.everything
