"""The example job: order a laptop, tell when the order is placed, and again when it is delivered."""

import re
from datetime import timedelta
from typing import Any

from agent.answer import Answer, card
from agent.jobs.definition import Done, Job, Outcome, Waiting
from agent.ports import Services

ASKS = re.compile(r"\b(order|buy|get|need|want)\b")
LAPTOP = re.compile(r"\b(laptop|notebook)\b")
TURNED_DOWN = re.compile(r"\b(not|never|cancel|stop)\b|n't\b|n\u2019t\b")


class OrderLaptop:
    kind = "order_laptop"
    title = "Order a laptop"
    deadline = timedelta(days=30)

    def recognises(self, text: str) -> bool:
        asks = ASKS.search(text)
        return bool(asks and LAPTOP.search(text, asks.end())) and not TURNED_DOWN.search(text)

    def acknowledgement(self, job: Job) -> Answer:
        return Answer("Thank you for ordering a laptop. I will keep you posted with updates.")

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        order = await services.orders.place(job.job_id, item="laptop", customer=job.requested_by)
        return Waiting(state={"told": "accepted"}, check_in=order.next_change_in)

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        if "completed" in await services.job_reports.of(job.job_id):
            await services.orders.mark_delivered(job.job_id)
        order = await services.orders.get(job.job_id)
        if order.status == "delivered":
            return Done(tell=Answer(card=card("order_delivered", number=order.number, item=order.item)))
        news = None
        if order.status == "placed" and state["told"] != "placed":
            news = Answer(
                f"Great! I have successfully placed your order #{order.number}."
                " I'll notify you when it's delivered."
            )
        return Waiting(state={"told": order.status}, check_in=order.next_change_in, tell=news)

    def failure(self, job: Job) -> Answer:
        return Answer(
            "I am sorry, your laptop could not be ordered. Please say 'order a laptop' to try again."
        )
