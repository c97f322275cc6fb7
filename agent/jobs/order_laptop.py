"""The example job: order a laptop, tell when the order is placed, and again when it is delivered."""

import re
from datetime import timedelta
from typing import Any

from agent.answer import Answer, card
from agent.job_entry import Progress
from agent.jobs.definition import Cancellable, Done, Failed, Job, JobDefinition, Outcome, Waiting
from agent.order import Order
from agent.ports import Services

ASKS = re.compile(r"\b(order|buy|get|need|want)\b")
LAPTOP = re.compile(r"\b(laptop|notebook)\b")
QUESTION = re.compile(r"(what|how|why|who|when|where|which|explain)\b")
TURNED_DOWN = re.compile(r"\b(not|never|cancel|stop)\b|n't\b|n\u2019t\b")


class OrderLaptop(JobDefinition, Cancellable):
    kind = "order_laptop"
    title = "Order a laptop"
    deadline = timedelta(days=30)

    def recognises(self, text: str) -> bool:
        asks = None if QUESTION.match(text) else ASKS.search(text)
        return bool(asks and LAPTOP.search(text, asks.end())) and not TURNED_DOWN.search(text)

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("Thank you for ordering a laptop. I will keep you posted with updates.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        order = await services.orders.place(job.job_id, item="laptop", customer=job.requested_by)
        return Waiting(state={"told": "accepted"}, check_in=order.next_change_in, progress=progress_of(order))

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        await note_delivery(job, services=services)
        order = await services.orders.get(job.job_id)
        if order.status == "delivered":
            return Done(tell=Answer(card=card("order_delivered", number=order.number, item=order.item)))
        if order.status == "cancelled":
            return Failed(tell=Answer(f"Your order #{order.number} was cancelled."))
        news = None
        if order.status == "placed" and state["told"] != "placed":
            news = Answer(
                f"Great! I have successfully placed your order #{order.number}."
                " I'll notify you when it's delivered."
            )
        return Waiting(
            state={"told": order.status},
            check_in=order.next_change_in,
            tell=news,
            progress=progress_of(order),
        )

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer | Done:
        await note_delivery(job, services=services)
        try:
            order = await services.orders.cancel(job.job_id)
        except KeyError:  # cancelled while it could not be placed
            return Answer("I have cancelled your order. It had not been placed yet.")
        if order.status == "delivered":
            late = f"It is too late to cancel: your order #{order.number} was delivered meanwhile."
            return Done(tell=Answer(late))
        return Answer(f"I have cancelled your order #{order.number} ({order.item}).")

    def failure(self, job: Job) -> Answer:
        return Answer(
            "I am sorry, your laptop could not be ordered. Please say 'order a laptop' to try again."
        )


async def note_delivery(job: Job, *, services: Services) -> None:
    """Have the order service know of a delivery that was reported to us."""
    if "completed" in await services.job_reports.of(job.job_id):
        await services.orders.mark_delivered(job.job_id)


def progress_of(order: Order) -> Progress:
    if order.status == "accepted":
        return Progress(step=f"Order #{order.number} was taken and waits to be placed", percent=10)
    return Progress(step=f"Order #{order.number} is placed and on its way", percent=50)
