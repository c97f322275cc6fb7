"""Tenants and users are the same in upper and in lower case."""

import json
from typing import Any

import pytest

from agent.conversation import conversation_of
from agent.delivery import deliver
from agent.incoming import parse_incoming
from agent.proactive_message import ProactiveMessage, ToChannel, ToConversation, ToUser
from tests.unit.turns import Channel, incoming_activity

TENANT = "7d0c1b52-5f0e-4b5c-9a37-2c4d5f8e1a60"
USER = "c2a5f1d4-83b7-4e6e-9f0d-6b1f3a7c9e21"


def turn_of(tenant_id: str, aad_object_id: str) -> dict[str, Any]:
    known = incoming_activity()
    return incoming_activity(
        conversation={**known["conversation"], "tenantId": tenant_id},
        **{"from": {**known["from"], "aadObjectId": aad_object_id}},
    )


async def tell(channel: Channel, to: ToUser) -> str:
    services = channel.services
    record = await deliver(
        ProactiveMessage(delivery_id="d-1", to=to, text="hi"),
        when_ambiguous="resend",
        services=services,
    )
    return record.state


@pytest.mark.parametrize(("heard", "told"), [(str.lower, str.upper), (str.upper, str.lower)])
async def test_a_user_is_reached_in_their_chat_however_their_ids_are_written(heard: Any, told: Any) -> None:
    channel = Channel()
    await channel.deliver(turn_of(heard(TENANT), heard(USER)))
    assert await tell(channel, ToUser(tenant_id=told(TENANT), aad_object_id=told(USER))) == "sent"
    calls = channel.services.connector.calls
    assert {call.method for call in calls} == {"send"}
    assert {call.conversation_id for call in calls} == {"a:chat"}
    # Of each tenant there is one row that says how fast to send.
    assert {call.tenant_id for call in calls} == {TENANT}


async def test_a_user_who_is_gone_is_left_alone_however_their_ids_are_written() -> None:
    channel = Channel()
    await channel.deliver(turn_of(TENANT, USER))
    conversation = conversation_of(parse_incoming(json.dumps(turn_of(TENANT, USER)).encode())[1])
    await channel.services.conversations.mark_gone(conversation, at=channel.services.clock.now())
    assert await tell(channel, ToUser(tenant_id=TENANT.upper(), aad_object_id=USER.upper())) == "gone"


def test_the_tenant_in_teams_channel_data_is_read_in_lower_case() -> None:
    turn = incoming_activity(conversation={"id": "c"}, channelData={"tenant": {"id": TENANT.upper()}})
    assert parse_incoming(json.dumps(turn).encode())[1].tenant_id == TENANT


def test_ids_of_conversations_and_channels_and_what_is_no_guid_stay_as_they_came() -> None:
    assert ToUser(tenant_id="Tenant", aad_object_id="29:User").aad_object_id == "29:User"
    assert ToConversation(channel_id="msteams", conversation_id="a:Chat").conversation_id == "a:Chat"
    to = ToChannel(tenant_id=TENANT.upper(), teams_channel_id="19:General@thread.tacv2")
    assert (to.tenant_id, to.teams_channel_id) == (TENANT, "19:General@thread.tacv2")
