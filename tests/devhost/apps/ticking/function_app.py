"""Timers that come often, and one that comes at start-up."""

import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp()


def note(kind: str, text: str) -> None:
    with Path(os.environ["NOTES"], kind).open("a") as file:
        file.write(text + "\n")


@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def tick(timer: func.TimerRequest) -> None:
    note("tick", "begin")
    time.sleep(1.2)  # longer than the second between two moments
    note("tick", "end")


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
def at_startup(timer: func.TimerRequest) -> None:
    note("startup", str(timer.past_due))
