"""`make demo`: the main job played on a stack of its own, without a browser, as a transcript with times."""

import asyncio
import re
import signal
import tempfile
from pathlib import Path

import aiohttp

from local.functions_host import functions_url
from local.playground import playground_url
from local.playground_driver import PlaygroundDriver, Shown
from local.ports import Ports
from local.processes import StackError
from local.send import send
from local.settings_file import EXAMPLE_FILE, SETTINGS_FILE, values_of
from local.stack import Stack
from local.transcript import Transcript

PROACTIVE_TEXT = "Your laptop waits at the desk"
CANCEL_BUTTON = re.compile(r'"cancel": "(\w+)"')


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

    await _ask_for_status(playground, transcript)

    asked = await begin("queue", f"puts a message on: {PROACTIVE_TEXT}", lambda: _put(stack))
    await transcript.answer("proactive message", playground.wait_for(PROACTIVE_TEXT, seconds=20), asked=asked)

    await transcript.answer(
        "follow-up", playground.wait_for("successfully placed your order", seconds=30), asked=ordered
    )

    asked = await begin("timer", "send_daily_digest is fired", lambda: _fire_digest(stack))
    await transcript.answer("digest", playground.wait_for("Your orders", seconds=20), asked=asked)

    await _cancel_a_second_order(playground, transcript)

    delivered = playground.wait_until(is_delivered_card, wanted="the delivered card", seconds=60, since=1)
    await transcript.answer("delivered card", delivered, asked=ordered)


async def _ask_for_status(playground: PlaygroundDriver, transcript: Transcript) -> None:
    asked = await transcript.begin("Alex", "status", lambda: playground.say("status"))
    await transcript.answer("list of jobs", playground.wait_for("Your jobs", seconds=10), asked=asked)


async def _cancel_a_second_order(playground: PlaygroundDriver, transcript: Transcript) -> None:
    since = len(playground.shown)
    asked = await transcript.begin("Alex", "order a laptop", lambda: playground.say("order a laptop"))
    thanks = playground.wait_for("Thank you for ordering", seconds=10, since=since)
    await transcript.answer("acknowledgement", thanks, asked=asked)

    asked = await transcript.begin("Alex", "cancel", lambda: playground.say("cancel"))
    which = playground.wait_for("Which of your jobs", seconds=10)
    listed = await transcript.answer("list of two jobs", which, asked=asked)
    newest = CANCEL_BUTTON.search(listed.everything) if listed else None
    if listed is None or newest is None:
        return
    data = {"cancel": newest[1]}
    asked = await transcript.begin(
        "Alex", "(presses the first Cancel)", lambda: playground.press(listed, data)
    )
    cancelled = playground.wait_for("I have cancelled your order", seconds=20)
    await transcript.answer("cancelled", cancelled, asked=asked)


def is_delivered_card(shown: Shown) -> bool:
    """Whether this is the card that ends a job (the welcome card and the digest speak of delivery too)."""
    others = ("Order a laptop", "Your orders")
    return (
        bool(shown.content.get("attachments"))
        and "delivered" in shown.everything
        and not any(text in shown.everything for text in others)
    )


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
