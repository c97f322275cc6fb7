"""`make demo`: the main job played on a stack of its own, without a browser, as a transcript with times."""

import asyncio
import signal
import tempfile
from pathlib import Path

from local.playground import playground_url
from local.playground_driver import PlaygroundDriver
from local.ports import Ports
from local.processes import StackError
from local.scenes import Scenes
from local.settings_file import EXAMPLE_FILE, SETTINGS_FILE, values_of
from local.stack import Stack
from local.transcript import Transcript


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
                await Scenes(playground, stack, transcript).play()
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


def _cancelled_by_sigterm() -> None:
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
