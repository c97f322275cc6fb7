"""A turn as the channel delivers it, and the whole way it takes through the agent, in memory."""

import json
from typing import Any

from adapters.in_memory import InMemoryServices
from agent.bot import Bot
from agent.incoming import parse_incoming
from agent.jobs import running
from agent.jobs.definition import Job
from agent.turn_budget import budget_of
from agent.turn_claim import TurnResponse
from agent.turn_replies import TurnReplies
from agent.turns import take_turn

TENANT = "11111111-1111-4111-8111-111111111111"
USER = "33333333-3333-4333-8333-333333333333"


def incoming_activity(**fields: Any) -> dict[str, Any]:
    """An incoming message in a personal Teams chat; ``fields`` replace or add."""
    return {
        "type": "message",
        "id": "incoming-1",
        "channelId": "msteams",
        "serviceUrl": "https://smba.example/amer/",
        "from": {"id": "29:user", "name": "Alex", "aadObjectId": USER},
        "recipient": {"id": "28:agent", "name": "Agent"},
        "conversation": {"id": "a:chat", "conversationType": "personal", "tenantId": TENANT},
        "text": "order a laptop",
        **fields,
    }


class Channel:
    """Delivers turns to the agent; ``started`` are the jobs that were stored durably.

    ``cancelled`` are the ids of those that were told to stop, ``woken`` of those that were told of an answer;
    ``ended`` of those that cannot be any more.
    ``begins``: whether their first step is done at once, as it is where nothing is slow.
    """

    def __init__(self, services: InMemoryServices | None = None) -> None:
        self.services = services or InMemoryServices()
        self.started: list[Job] = []
        self.cancelled: list[str] = []
        self.ended: set[str] = set()
        self.woken: list[str] = []
        self.begins = True

    async def deliver(self, activity: dict[str, Any]) -> TurnResponse | None:
        """One delivery of one turn, as triggers/messages.py does it."""
        raw, incoming = parse_incoming(json.dumps(activity).encode())
        services = self.services
        budget = budget_of(incoming, arrived=services.clock.now(), lasts=services.turn_budget)

        async def answer(replies: TurnReplies) -> TurnResponse | None:
            bot = Bot(
                incoming,
                replies,
                start_job=self._start_job,
                cancel_job=self._cancel_job,
                wake_job=self._wake_job,
                services=services,
            )
            return await services.bot_runner.process(raw, bot, replies=replies)

        return await take_turn(
            incoming,
            budget=budget,
            answer=answer,
            services=services,
        )

    async def _start_job(self, job: Job, *, may_exist: bool) -> None:
        if may_exist and job.job_id in [known.job_id for known in self.started]:
            return
        self.started.append(job)
        if self.begins:
            await running.begin(job, services=self.services)

    async def _cancel_job(self, job_id: str) -> bool:
        if job_id in self.ended:
            return False
        self.cancelled.append(job_id)
        return True

    async def _wake_job(self, job_id: str) -> bool:
        if job_id in self.ended:
            return False
        self.woken.append(job_id)
        return True

    def said(self) -> list[dict[str, Any]]:
        """The messages that the agent posted, in order."""
        posted = [call.body or {} for call in self.services.connector.calls if call.method == "send"]
        return [body for body in posted if body.get("type") != "typing"]
