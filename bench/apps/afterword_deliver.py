"""Afterword's deliver(): a message for a user found by Entra object id, once, with its ledger."""

import asyncio
import os
from datetime import UTC, datetime
from uuid import UUID

from agent.conversation import PERSONAL, Conversation
from agent.delivery import deliver
from agent.ports import Services
from agent.proactive_message import ProactiveMessage, ToUser
from bench.apps.afterword_services import bench_services
from bench.apps.program import SERVICE_URL, WARM_UP, Send, run
from bench.who import AGENT_ID

TENANTS = 200  # so that their limits, 30 requests a second each, are not what is measured
HEARD_AT_ONCE = 32
LAUNCH = os.getpid()


def user(number: int) -> tuple[str, str]:
    """Tenant and Entra object id of one of many users, each in one of TENANTS tenants."""
    return str(UUID(int=number % TENANTS + 1)), str(UUID(int=number + 1))


def conversation_of_user(number: int) -> Conversation:
    tenant_id, aad_object_id = user(number)
    return Conversation(
        channel_id="msteams",
        conversation_id=f"a:conversation-{number:08}",
        service_url=SERVICE_URL,
        conversation_type=PERSONAL,
        tenant_id=tenant_id,
        aad_object_id=aad_object_id,
        user_id=f"29:user-{number:08}",
        agent_id=AGENT_ID,
    )


async def make_known(ports: Services, *, users: int) -> None:
    """Hear of every user once, so that each has a conversation; in Azurite they stay for the whole bench."""
    if await ports.conversations.find_personal(*user(users - 1), route="teams"):
        return
    now = datetime.now(UTC)
    for start in range(0, users, HEARD_AT_ONCE):
        numbers = range(start, min(start + HEARD_AT_ONCE, users))
        await asyncio.gather(
            *(ports.conversations.heard(conversation_of_user(number), at=now) for number in numbers)
        )


async def sender() -> Send:
    ports = bench_services()
    await ports.storage.make_missing()
    await make_known(ports, users=WARM_UP + int(os.environ["BENCH_USERS"]))

    async def send(number: int) -> None:
        tenant_id, aad_object_id = user(number)
        message = ProactiveMessage(
            delivery_id=f"bench-{LAUNCH}-{number}",
            to=ToUser(tenant_id=tenant_id, aad_object_id=aad_object_id),
            text=f"Your order {number} has arrived.",
        )
        record = await deliver(message, when_ambiguous="hold", services=ports)
        if record.state != "sent":
            raise RuntimeError(f"not sent: {record.state} {record.reason}")

    return send


if __name__ == "__main__":
    run(serve=None, sender=sender)
