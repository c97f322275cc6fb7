"""The channel's side of a soak run: delivers turns, waits 15 s, delivers them again, and remembers it all."""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from agent.incoming import derived_key
from local.functions_host import functions_url
from testconnector.conversations import user_id_of
from testconnector.server import ScriptedConnector
from testconnector.turns import TurnAnswer, deliver_turn
from tests.soak.hosts import Hosts
from tests.soak.plan import TENANTS, PlannedTurn
from tests.soak.record import Delivery, Turn

MOST_DELIVERIES = 8
PAUSE = (0.5, 2.0)  # seconds until a turn that was not answered is delivered again
AFTER_THE_JOB = 12.0  # seconds more than its handler takes


def body_of(turn: PlannedTurn, *, connector: ScriptedConnector) -> dict[str, Any]:
    """The channel activity, with its timestamp; each delivery has the same body."""
    body = connector.turn(
        turn.request,
        user=f"{turn.user:08x}-0000-4000-8000-000000000001",
        tenant_id=f"{turn.user % TENANTS:08x}-0000-4000-8000-000000000002",
    )
    if turn.where == "group":
        chat = {"id": f"19:soak-{turn.user}@thread.v2", "conversationType": "groupChat", "isGroup": True}
        body["conversation"] |= chat
        body["text"] = f"<at>Afterword</at> {turn.request}"
        body["from"]["id"] = user_id_of(f"member-{turn.number % 3}-of-{turn.user}")
    if turn.where == "copilot":
        body["conversation"]["id"] += "-copilot"
        body["channelData"]["productContext"] = "COPILOT"
    if turn.is_button:
        data = {"job": f"soak_{turn.kind}", "soak": turn.request}
        action = {"type": "Action.Execute", "verb": "soak", "data": data}
        body |= {"type": "invoke", "name": "adaptiveCard/action", "value": {"action": action}}
        del body["text"]
    return body


class Channel:
    """Delivers turns to the hosts that are up. ``turns``: what became of each, as long as it is under way."""

    def __init__(self, hosts: Hosts, connector: ScriptedConnector, *, session: aiohttp.ClientSession) -> None:
        self._hosts, self._connector, self._session = hosts, connector, session
        self._deliveries: dict[int, list[Delivery]] = {}
        self._sent: dict[int, tuple[PlannedTurn, str, float]] = {}
        self.under_way = [0, 0]

    async def play(self, turn: PlannedTurn) -> None:
        """Deliver the turn until it is acknowledged, and again as it is planned."""
        body = body_of(turn, connector=self._connector)
        key = derived_key(body["channelId"], body["conversation"]["id"], body["id"])
        self._sent[turn.number] = (turn, key, time.monotonic())
        self._deliveries[turn.number] = []
        first = asyncio.create_task(self._until_acknowledged(turn, body, to=turn.first_to))
        if turn.again == "never":
            await first
            return
        if turn.again == "under way":
            await asyncio.sleep(turn.again_in)
        elif turn.again != "at once":
            await first
            await asyncio.sleep(turn.again_in)
        if turn.again == "after the job":
            await asyncio.sleep(turn.seconds + AFTER_THE_JOB)
        await asyncio.gather(first, self._until_acknowledged(turn, body, to=1 - turn.first_to))

    async def _until_acknowledged(self, turn: PlannedTurn, body: dict[str, Any], *, to: int) -> None:
        dice = random.Random(turn.number * 2 + to)  # noqa: S311 - chance, not secrecy
        for _ in range(MOST_DELIVERIES):
            delivery = await self._deliver(body, to=to)
            self._deliveries[turn.number].append(delivery)
            if delivery.is_acknowledged:
                return
            await asyncio.sleep(dice.uniform(*PAUSE))
            to = dice.randrange(2)

    async def _deliver(self, body: dict[str, Any], *, to: int) -> Delivery:
        index = to if self._hosts.is_up(to) else 1 - to
        starts = self._hosts.starts(index)
        url = f"{functions_url(self._hosts.ports(index))}/api/messages"
        self.under_way[index] += 1
        began = time.monotonic()
        answers: list[TurnAnswer] = await deliver_turn(body, to=url, token=None, session=self._session)
        ended = time.monotonic()
        self.under_way[index] -= 1
        was_killed = not self._hosts.is_up(index) or self._hosts.starts(index) != starts
        return Delivery(
            began=began,
            ended=ended,
            status=answers[0].status,
            body=answers[0].body,
            was_cut=answers[0].status is None and was_killed,
        )

    def turns(self, claim_of: Callable[[str], tuple[str, int]]) -> list[Turn]:
        """Each turn as it was delivered; ``claim_of`` a turn key: the claim's state and its ambiguities."""
        turns = []
        for number, (planned, key, sent_at) in self._sent.items():
            state, ambiguities = claim_of(key)
            turns.append(
                Turn(
                    number=number,
                    turn_key=key,
                    is_button=planned.is_button,
                    sent_at=sent_at,
                    deliveries=tuple(self._deliveries[number]),
                    claim_state=state,
                    claim_ambiguities=ambiguities,
                )
            )
        return turns
