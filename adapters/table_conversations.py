"""The ConversationStore port on Azure Tables: a row a conversation, and an index from user to it."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables import UpdateMode

from adapters.tables import ROW, Tables
from agent.conversation import PERSONAL, Conversation, Route, conversation_key
from agent.incoming import derived_key

CONVERSATIONS = "conversations"
PERSONAL_CONVERSATIONS = "personalconversations"
COPILOT_CHAT = "copilot-chat"


class TableConversationStore:
    """``conversations``: partition = conversation key. ``personalconversations``: partition = key of tenant
    and Entra object id, row = route (or COPILOT_CHAT, in which the user only speaks); it holds the ids of
    the conversation, and when the user was heard in it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def heard(self, conversation: Conversation, *, at: datetime) -> None:
        await self._keep(conversation)
        if conversation.conversation_type == PERSONAL:
            row_key = "teams" if conversation.is_personal_in_teams else COPILOT_CHAT
            await self._point_to(conversation, row_key, heardAt=at)

    async def created(self, conversation: Conversation, *, route: Route) -> None:
        await self._keep(conversation)
        await self._point_to(conversation, route)

    async def find(self, channel_id: str, conversation_id: str) -> Conversation | None:
        table = await self._tables.table(CONVERSATIONS)
        try:
            row = await table.get_entity(conversation_key(channel_id, conversation_id), ROW)
        except ResourceNotFoundError:
            return None
        return msgspec.convert(dict(row), Conversation)

    async def find_personal(self, tenant_id: str, aad_object_id: str, *, route: Route) -> Conversation | None:
        table = await self._tables.table(PERSONAL_CONVERSATIONS)
        user_key = derived_key(tenant_id, aad_object_id)
        try:
            row = await table.get_entity(user_key, route)
        except ResourceNotFoundError:
            return None
        found = await self.find(row["channelId"], row["conversationId"])
        if found and found.gone_at:
            rows = table.query_entities("PartitionKey eq @user", parameters={"user": user_key})
            if any([row.get("heardAt", found.gone_at) > found.gone_at async for row in rows]):
                return None
        return found

    async def mark_gone(self, conversation: Conversation, *, at: datetime) -> None:
        await self._change(conversation, goneAt=at.isoformat())

    async def move(self, conversation: Conversation, *, service_url: str) -> None:
        await self._change(conversation, serviceUrl=service_url)

    async def _change(self, conversation: Conversation, **columns: str) -> None:
        table = await self._tables.table(CONVERSATIONS)
        row = {"PartitionKey": conversation.conversation_key, "RowKey": ROW, **columns}
        with suppress(ResourceNotFoundError):
            await table.update_entity(row, mode=UpdateMode.MERGE)

    async def _keep(self, conversation: Conversation) -> None:
        table = await self._tables.table(CONVERSATIONS)
        row = _without_none(msgspec.to_builtins(conversation))
        row |= {"PartitionKey": conversation.conversation_key, "RowKey": ROW}
        await table.upsert_entity(row, mode=UpdateMode.REPLACE)

    async def _point_to(self, conversation: Conversation, row_key: str, **more: datetime) -> None:
        if not (conversation.tenant_id and conversation.aad_object_id):
            return
        table = await self._tables.table(PERSONAL_CONVERSATIONS)
        await table.upsert_entity(
            {
                "PartitionKey": derived_key(conversation.tenant_id, conversation.aad_object_id),
                "RowKey": row_key,
                "tenantId": conversation.tenant_id,
                "aadObjectId": conversation.aad_object_id,
                "channelId": conversation.channel_id,
                "conversationId": conversation.conversation_id,
                **more,
            },
            mode=UpdateMode.REPLACE,
        )


def _without_none(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}
