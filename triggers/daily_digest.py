"""The daily digest: each user with orders under way, or delivered since yesterday, is told of them."""

from typing import List  # noqa: UP035 - the Functions worker knows List[str], not list[str]

import azure.durable_functions as df
import azure.functions as func
import msgspec

from agent.digest import DIGEST_COVERS, daily_digest
from composition import services

blueprint = df.Blueprint()


@blueprint.timer_trigger(arg_name="timer", schedule="%DigestSchedule%")
@blueprint.queue_output(
    arg_name="outbox", queue_name="%ProactiveMessagesQueue%", connection="AzureWebJobsStorage"
)
async def send_daily_digest(timer: func.TimerRequest, outbox: func.Out[List[str]]) -> None:  # noqa: UP006
    """Put one message a user on the queue; its id makes a second run of the same day send nothing."""
    ports = services()
    now = ports.clock.now()
    orders = await ports.orders.open_or_delivered_since(now - DIGEST_COVERS)
    messages = daily_digest(orders, day=now.date(), expires_at=now + DIGEST_COVERS)
    outbox.set([msgspec.json.encode(message).decode() for message in messages])
