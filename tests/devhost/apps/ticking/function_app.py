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


@app.timer_trigger(arg_name="timer", schedule="0 0 0 1 1 *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:00")
def retried(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    note("retried", f"{retry.retry_count}/{retry.max_retry_count}")
    raise ValueError("again")


@app.route(route="answer", auth_level=func.AuthLevel.ANONYMOUS)
@app.retry(
    strategy="exponential_backoff",
    max_retry_count="-1",
    minimum_interval="00:00:00",
    maximum_interval="00:00:01",
)
def answer(req: func.HttpRequest, context: func.Context) -> str:
    if context.retry_context.retry_count < 2:
        raise ValueError("not yet")
    return "at last"
