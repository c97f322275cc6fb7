"""The ConversationStore port on Azure Tables: a row a conversation, and the user's own beside each other."""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from datetime import datetime, timedelta
from typing import get_args

import msgspec

from adapters.table_client import ANY, ROW, RowChanged, RowMissing, TableClient
from adapters.table_values import PARTITION_KEY, ROW_KEY, Row, literal
from adapters.tables import Tables
from agent.conversation import PERSONAL, Conversation, Route, conversation_key
from agent.incoming import derived_key

CONVERSATIONS = "conversations"
PERSONAL_CONVERSATIONS = "personalconversations"
COPILOT_CHAT = "copilot-chat"
ROW_KEYS = (*get_args(Route), COPILOT_CHAT)  # of a user
MEMO_SIZE = 1000
MEMO_AGE = timedelta(seconds=60)


class TableConversationStore:
    """``conversations``: partition = conversation key. ``personalconversations``: partition = key of tenant
    and Entra object id, row = route (or COPILOT_CHAT, in which the user only speaks); it holds the whole
    conversation too, so that a user is found by one query, and when the user was heard in it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._written = _Memo()

    async def heard(self, conversation: Conversation, *, at: datetime) -> None:
        """What this very process wrote within the last minute is not written again.

        That is safe: the rows hold the same but for ``heardAt``, and what we change meanwhile ends the
        memory. Only what another process notes within that minute (it is gone, it has moved) stands until
        the first turn after it, instead of until the next.
        """
        if self._written.holds(conversation, at):
            return
        times_cleared = self._written.times_cleared
        writes = [self._keep(conversation)]
        if conversation.conversation_type == PERSONAL:
            row_key = "teams" if conversation.is_personal_in_teams else COPILOT_CHAT
            writes.append(self._point_to(conversation, row_key, heardAt=at))
        await asyncio.gather(*writes)
        if times_cleared == self._written.times_cleared:  # else our rows may have been changed since
            self._written.keep(conversation, at)

    async def created(self, conversation: Conversation, *, route: Route) -> None:
        await asyncio.gather(self._keep(conversation), self._point_to(conversation, route))
        self._written.clear()

    async def find(self, channel_id: str, conversation_id: str) -> Conversation | None:
        table = await self._tables.table(CONVERSATIONS)
        row = await table.get(conversation_key(channel_id, conversation_id))
        return msgspec.convert(row.columns, Conversation) if row else None

    async def find_personal(self, tenant_id: str, aad_object_id: str, *, route: Route) -> Conversation | None:
        rows = await self._personal_rows(tenant_id, aad_object_id)
        for row in rows:
            if row.columns[ROW_KEY] == route and (found := _conversation(row)):
                gone_at = found.gone_at
                if gone_at and any(other.columns.get("heardAt", gone_at) > gone_at for other in rows):
                    return None
                return found
        return None

    async def mark_gone(self, conversation: Conversation, *, at: datetime) -> None:
        await self._change(conversation, goneAt=at.isoformat())

    async def move(self, conversation: Conversation, *, service_url: str) -> None:
        await self._change(conversation, serviceUrl=service_url)

    async def _change(self, conversation: Conversation, **columns: str) -> None:
        table = await self._tables.table(CONVERSATIONS)
        try:
            await asyncio.gather(
                _merge(table, conversation.conversation_key, columns),
                self._change_personal(conversation, columns),
            )
        finally:
            self._written.clear()

    async def _change_personal(self, conversation: Conversation, columns: dict[str, str]) -> None:
        """Change the user's rows that hold this conversation, unless they are of another one meanwhile."""
        tenant_id, aad_object_id = conversation.tenant_id, conversation.aad_object_id
        if not (tenant_id and aad_object_id):  # not every turn tells its user; an earlier one may have
            known = await self.find(conversation.channel_id, conversation.conversation_id)
            if known is None or not (known.tenant_id and known.aad_object_id):
                return
            tenant_id, aad_object_id = known.tenant_id, known.aad_object_id
        table = await self._tables.table(PERSONAL_CONVERSATIONS)
        user_key = derived_key(tenant_id, aad_object_id)

        async def change(row_key: str) -> None:
            row = await table.get(user_key, row_key=row_key)
            held = _conversation(row) if row else None
            if row and held and held.conversation_key == key:
                await _merge(table, user_key, columns, row_key=row_key, etag=row.etag)

        key = conversation.conversation_key
        await asyncio.gather(*(change(row_key) for row_key in ROW_KEYS))

    async def _personal_rows(self, tenant_id: str, aad_object_id: str) -> list[Row]:
        table = await self._tables.table(PERSONAL_CONVERSATIONS)
        pages = table.pages(f"{PARTITION_KEY} eq {literal(derived_key(tenant_id, aad_object_id))}")
        return [row async for page in pages for row in page]

    async def _keep(self, conversation: Conversation) -> None:
        table = await self._tables.table(CONVERSATIONS)
        await table.upsert(conversation.conversation_key, msgspec.to_builtins(conversation))

    async def _point_to(self, conversation: Conversation, row_key: str, **more: datetime) -> None:
        if not (conversation.tenant_id and conversation.aad_object_id):
            return
        table = await self._tables.table(PERSONAL_CONVERSATIONS)
        user_key = derived_key(conversation.tenant_id, conversation.aad_object_id)
        await table.upsert(user_key, msgspec.to_builtins(conversation) | more, row_key=row_key)


def _conversation(row: Row) -> Conversation | None:
    """The conversation that a user's row holds; none in a row of an older version, which held its ids alone.

    Such a row is written over when the user is next heard, or the conversation created anew.
    """
    try:
        return msgspec.convert(row.columns, Conversation)
    except msgspec.ValidationError:
        return None


async def _merge(
    table: TableClient, key: str, columns: dict[str, str], *, row_key: str = ROW, etag: str = ANY
) -> None:
    with suppress(RowMissing, RowChanged):
        await table.merge(key, columns, row_key=row_key, etag=etag)


class _Memo:
    """The conversations that were written last, and when."""

    def __init__(self) -> None:
        self._written: OrderedDict[str, tuple[Conversation, datetime]] = OrderedDict()
        self.times_cleared = 0

    def holds(self, conversation: Conversation, at: datetime) -> bool:
        written, written_at = self._written.get(conversation.conversation_key, (None, at))
        return written == conversation and at - written_at < MEMO_AGE

    def keep(self, conversation: Conversation, at: datetime) -> None:
        key = conversation.conversation_key
        self._written[key] = (conversation, at)
        self._written.move_to_end(key)
        if len(self._written) > MEMO_SIZE:
            self._written.popitem(last=False)

    def clear(self) -> None:
        self.times_cleared += 1
        self._written.clear()
