"""How many storage operations a turn and a message cost, as docs/performance.md tells: counted on Azurite."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from adapters.in_memory import InMemoryServices, RecordingConnector
from adapters.storage_account import account_of
from adapters.system_clock import SystemClock
from adapters.table_conversations import TableConversationStore
from adapters.table_delivery_ledger import TableDeliveryLedger
from adapters.table_jobs import TableJobBoard
from adapters.table_tenant_rates import TableTenantRates
from adapters.table_turn_claims import TableTurnClaims
from adapters.tables import Tables
from agent.conversation import Conversation
from agent.delivery import deliver
from agent.incoming import parse_incoming
from agent.job_entry import owner_key
from agent.jobs.definition import Job
from agent.jobs.entries import entry_of
from agent.paced_connector import PacedConnector
from agent.ports import Connector, DeliveryOptions
from agent.proactive_message import ProactiveMessage, ToUser
from agent.turn_budget import budget_of
from agent.turn_replies import TurnReplies
from agent.turns import take_turn
from local.azurite import Azurite
from tests.unit.turns import incoming_activity

TABLES = ("turnclaims", "conversations", "personalconversations", "deliveries", "tenantrates", "jobs")
OPTIONS = DeliveryOptions(route="teams", service_url="https://smba.example/", agent_id="28:agent")


class Counted:
    """The stores on Azurite, with what they ask of it: method and table, each as often as it was asked."""

    def __init__(self, azurite: Azurite) -> None:
        self.asked: Counter[str] = Counter()
        self.tables = Tables(account_of(azurite.connection_string))
        call = self.tables._http.call

        async def counting(method: str, path: str, **more: Any) -> Any:
            self.asked[f"{method} {path.strip('/').partition('(')[0]}"] += 1
            return await call(method, path, **more)

        self.tables._http.call = counting  # type: ignore[method-assign]
        self.clock = SystemClock()
        self.conversations = TableConversationStore(self.tables)
        self.claims = TableTurnClaims(self.tables)
        self.ledger = TableDeliveryLedger(self.tables)
        self.connector: Connector = RecordingConnector()

    @property
    def services(self) -> InMemoryServices:
        """All ports, those that are counted among them."""
        services = InMemoryServices()
        services.clock, services.connector = self.clock, self.connector  # type: ignore[assignment]
        services.conversations, services.turn_claims = self.conversations, self.claims  # type: ignore[assignment]
        services.ledger, services.delivery_options = self.ledger, OPTIONS  # type: ignore[assignment]
        return services

    def since_then(self) -> Counter[str]:
        asked, self.asked = self.asked, Counter()
        return asked


@pytest.fixture
async def counted(azurite: Azurite) -> AsyncIterator[Counted]:
    counted = Counted(azurite)
    for table_name in (
        "turnclaims",
        "conversations",
        "personalconversations",
        "deliveries",
        "tenantrates",
        "jobs",
    ):
        await counted.tables.table(table_name)
    counted.since_then()
    yield counted
    await counted.tables.close()


async def turn(counted: Counted, *, user: str, replies: int) -> None:
    activity = incoming_activity(
        id=str(uuid4()),
        conversation={"id": f"a:{user}", "conversationType": "personal", "tenantId": user},
    )
    activity["from"]["aadObjectId"] = user
    _, incoming = parse_incoming(msgspec.json.encode(activity))

    async def answer(turn_replies: TurnReplies) -> None:
        for number in range(replies):
            outgoing = {"type": "message", "text": str(number)}
            place = Conversation(
                channel_id="msteams", conversation_id=f"a:{user}", service_url="https://smba.example/"
            ).place
            await turn_replies.send(outgoing, at=place, reply_to_id="1")

    await take_turn(
        incoming,
        budget=budget_of(incoming, arrived=counted.clock.now(), lasts=timedelta(seconds=10)),
        answer=answer,
        services=counted.services,
    )


@pytest.mark.parametrize("replies", [1, 3])
async def test_a_turn_costs_two_operations_and_one_for_each_further_reply(
    counted: Counted, replies: int
) -> None:
    user = str(uuid4())
    await turn(counted, user=user, replies=1)
    first = counted.since_then()
    assert first == {
        "POST turnclaims": 1,
        "PUT conversations": 1,
        "PUT personalconversations": 1,
        "PATCH turnclaims": 1,
    }
    await turn(counted, user=user, replies=replies)
    assert counted.since_then() == {"POST turnclaims": 1, "PATCH turnclaims": replies}


async def message_to(counted: Counted, user: str) -> None:
    record = await deliver(
        ProactiveMessage(
            delivery_id=str(uuid4()), to=ToUser(tenant_id=user, aad_object_id=user), text="Hello"
        ),
        when_ambiguous="hold",
        services=counted.services,
    )
    assert record.state == "sent"


async def test_a_message_costs_three_operations_besides_its_tenants_slot(counted: Counted) -> None:
    user = str(uuid4())
    await turn(counted, user=user, replies=1)
    counted.since_then()
    await message_to(counted, user)
    assert counted.since_then() == {
        "GET personalconversations": 1,
        "POST deliveries": 1,
        "PUT deliveries": 1,
    }


async def test_messages_into_one_tenant_share_the_operations_for_their_slots(counted: Counted) -> None:
    user = str(uuid4())
    await turn(counted, user=user, replies=1)
    counted.connector = PacedConnector(
        counted.connector,
        conversation_limits=((1000, 1.0),),
        tenant_requests_per_second=50,
        tenant_rates=TableTenantRates(counted.tables),
        clock=counted.clock,
    )
    counted.since_then()
    for _ in range(3):
        await message_to(counted, user)
    slots = {name: count for name, count in counted.since_then().items() if "tenantrates" in name}
    assert slots["GET tenantrates"] == slots["POST tenantrates"] == 1
    assert slots.get("PUT tenantrates", 0) <= 2


async def test_each_use_of_the_board_costs_one_operation(counted: Counted) -> None:
    board, chat = (
        TableJobBoard(counted.tables),
        Conversation(channel_id="msteams", conversation_id=str(uuid4()), service_url="https://smba.example/"),
    )
    now = counted.clock.now()
    job = Job(job_id=str(uuid4()), kind="order_laptop", requested_at=now, requested_by=chat)
    entry = entry_of(job, None, at=now)
    assert await board.insert(entry)
    await board.put(entry)
    assert await board.find(owner_key(chat), job.job_id) == entry
    assert await board.of_owner(owner_key(chat), at_most=5) == [entry]
    assert counted.since_then() == {"POST jobs": 1, "PUT jobs": 1, "GET jobs": 2}
