"""`make demo`: the main job played on a stack of its own, without a browser, as a transcript with times."""

import asyncio
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from local.functions_host import functions_url
from local.playground import playground_url
from local.playground_driver import JsonObject, NotShownError, PlaygroundDriver, Shown
from local.ports import Ports
from local.processes import StackError
from local.send import send
from local.settings_file import EXAMPLE_FILE, SETTINGS_FILE, values_of
from local.stack import Stack

PROACTIVE_TEXT = "Your laptop waits at the desk"


class Transcript:
    """Prints what happens, with the seconds since the stack was ready, and notes what did not."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.missing: list[str] = []

    def line(self, who: str, text: str, *, at: float | None = None) -> None:
        seconds = (time.monotonic() if at is None else at) - self._start
        first, *others = text.splitlines()
        print(f"{seconds:6.1f} s  {who:<9} {first}")
        for other in others:
            print(f"{'':19} {other}")

    async def begin(self, who: str, what: str, act: Callable[[], Awaitable[None]]) -> float:
        """Print what somebody does and have it done; the time at which it was begun comes back."""
        begun = time.monotonic()
        self.line(who, what, at=begun)
        await act()
        return begun

    async def answer(self, what: str, waiting: Awaitable[Shown], *, asked: float) -> None:
        """Wait for ``what`` and print it with the time since ``asked``."""
        try:
            shown = await waiting
        except NotShownError as error:
            self.missing.append(what)
            self.line("!", f"MISSING: {what}: {error}")
            return
        took = shown.at - asked
        told = f"{took * 1000:.0f} ms" if took < 1 else f"{took:.1f} s"
        self.line("Afterword", f"{readable(shown.content)}\n<- {what}, {told}", at=shown.at)


def readable(message: JsonObject) -> str:
    """A message as a reader would tell it: its text, then what its cards say."""
    said = [message["text"]] if message.get("text") else []
    cards = [attachment.get("content") for attachment in message.get("attachments") or []]
    said.extend(f"[card] {' | '.join(_words(card))}" for card in cards)
    return "\n".join(said) or "(nothing to read)"


def _words(part: object) -> list[str]:
    if isinstance(part, list):
        return [word for item in part for word in _words(item)]
    if not isinstance(part, dict):
        return []
    if part.get("type") == "FactSet":
        return [f"{fact['title']}: {fact['value']}" for fact in part["facts"]]
    if str(part.get("type")).startswith("Action."):
        return [f"({part['title']})"]
    own = [str(part["text"])] if "text" in part else []
    return own + [word for value in part.values() for word in _words(value)]


async def demo() -> int:
    """Play the main job; 0 only if everything arrived."""
    values_of(SETTINGS_FILE)  # devhost reads it too; what is in it does not matter here, as ours wins
    _cancelled_by_sigterm()
    print("Starting Azurite, devhost and the Playground, on ports and with data of their own ...", flush=True)
    with tempfile.TemporaryDirectory(prefix="afterword-demo-") as place:
        data = Path(place)
        stack = Stack(
            ports=Ports.free(), data=data, task_hub=data / "devhost", settings=values_of(EXAMPLE_FILE)
        )
        try:
            stack.start()
            transcript = Transcript()
            async with PlaygroundDriver(playground_url(stack.ports)) as playground:
                await _play(playground, stack, transcript)
            stack.raise_if_one_died()
            if transcript.missing and stack.functions_host is not None:
                raise StackError(
                    f"Did not arrive: {', '.join(transcript.missing)}. The end of devhost's log:\n"
                    f"{stack.functions_host.log_tail(40)}"
                )
        finally:
            stack.stop()
    print("\nAll of it arrived.")
    return 0


async def _play(playground: PlaygroundDriver, stack: Stack, transcript: Transcript) -> None:
    begin = transcript.begin
    asked = await begin("Alex", "(adds the agent)", playground.install)
    await transcript.answer("welcome", playground.wait_for("Order a laptop", seconds=10), asked=asked)

    ordered = await begin("Alex", "order a laptop", lambda: playground.say("order a laptop"))
    await transcript.answer(
        "acknowledgement", playground.wait_for("Thank you for ordering", seconds=10, since=1), asked=ordered
    )

    asked = await begin("queue", f"puts a message on: {PROACTIVE_TEXT}", lambda: _put(stack))
    await transcript.answer("proactive message", playground.wait_for(PROACTIVE_TEXT, seconds=20), asked=asked)

    await transcript.answer(
        "follow-up", playground.wait_for("successfully placed your order", seconds=30), asked=ordered
    )

    asked = await begin("timer", "send_daily_digest is fired", lambda: _fire_digest(stack))
    await transcript.answer("digest", playground.wait_for("Your orders", seconds=20), asked=asked)

    delivered = playground.wait_until(_is_delivery_card, wanted="the delivered card", seconds=60)
    await transcript.answer("delivered card", delivered, asked=ordered)


def _is_delivery_card(shown: Shown) -> bool:
    return bool(shown.content.get("attachments")) and "delivered" in shown.everything


async def _put(stack: Stack) -> None:
    send(PROACTIVE_TEXT, connection_string=stack.connection_string, settings=stack.settings)


async def _fire_digest(stack: Stack) -> None:
    url = f"{functions_url(stack.ports)}/admin/functions/send_daily_digest"
    async with aiohttp.ClientSession() as session, session.post(url, json={"input": ""}) as answer:
        if answer.status != 202:
            raise StackError(f"POST {url} was answered with {answer.status}: {await answer.text()}")


def _cancelled_by_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
