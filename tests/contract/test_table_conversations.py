"""What one process remembers of the conversations that it wrote, beside another process."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import get_args

import msgspec
import pytest

from adapters.table_conversations import PERSONAL_CONVERSATIONS, TableConversationStore
from adapters.tables import Tables
from agent.conversation import Conversation, Route
from agent.incoming import derived_key
from tests.contract.test_stores import NOON, personal


@pytest.fixture
def ours(tables: Tables) -> TableConversationStore:
    return TableConversationStore(tables)


@pytest.fixture
def another(tables: Tables) -> TableConversationStore:
    return TableConversationStore(tables)


async def found(store: TableConversationStore, chat: Conversation) -> list[Conversation | None]:
    assert chat.tenant_id and chat.aad_object_id
    return [
        await store.find(chat.channel_id, chat.conversation_id),
        await store.find_personal(chat.tenant_id, chat.aad_object_id, route="teams"),
    ]


async def test_what_was_written_within_the_last_minute_is_not_written_again(
    ours: TableConversationStore, another: TableConversationStore
) -> None:
    chat = personal()
    await ours.heard(chat, at=NOON)
    await another.mark_gone(chat, at=NOON)
    await ours.heard(chat, at=NOON + timedelta(seconds=59))
    assert await found(ours, chat) == [msgspec.structs.replace(chat, gone_at=NOON)] * 2
    await ours.heard(chat, at=NOON + timedelta(seconds=60))
    assert await found(ours, chat) == [chat] * 2


async def test_what_is_new_is_written_at_once(ours: TableConversationStore) -> None:
    chat = personal()
    renamed = msgspec.structs.replace(chat, user_name="Alexandra")
    await ours.heard(chat, at=NOON)
    await ours.heard(renamed, at=NOON)
    assert await found(ours, chat) == [renamed] * 2
    await ours.heard(chat, at=NOON)
    assert await found(ours, chat) == [chat] * 2


async def test_what_we_marked_as_gone_is_written_at_once_when_it_is_heard(
    ours: TableConversationStore,
) -> None:
    chat = personal()
    await ours.heard(chat, at=NOON)
    await ours.mark_gone(chat, at=NOON)
    await ours.heard(chat, at=NOON)
    assert await found(ours, chat) == [chat] * 2


class InterruptedStore(TableConversationStore):
    """Something happens to the conversation when its row is written, and the writer has not heard so yet."""

    interruption: Callable[[], Awaitable[None]] | None = None

    async def _keep(self, conversation: Conversation) -> None:
        await super()._keep(conversation)
        interruption, self.interruption = self.interruption, None
        if interruption:
            await interruption()


async def test_what_was_marked_as_gone_while_it_was_written_is_written_at_once_when_it_is_heard(
    tables: Tables,
) -> None:
    store, chat = InterruptedStore(tables), personal()
    store.interruption = lambda: store.mark_gone(chat, at=NOON)
    await store.heard(chat, at=NOON)
    gone = await store.find(chat.channel_id, chat.conversation_id)
    assert gone is not None and gone.gone_at == NOON
    await store.heard(chat, at=NOON)
    assert await found(store, chat) == [chat] * 2


async def test_what_moved_while_it_was_written_is_written_at_once_when_it_is_heard(tables: Tables) -> None:
    store, chat = InterruptedStore(tables), personal()
    store.interruption = lambda: store.move(chat, service_url="https://smba.example/emea/")
    await store.heard(chat, at=NOON)
    await store.heard(chat, at=NOON)
    assert await found(store, chat) == [chat] * 2


async def test_a_users_row_of_an_older_version_is_as_if_it_were_not_there(
    tables: Tables, ours: TableConversationStore
) -> None:
    chat = personal()
    assert chat.tenant_id and chat.aad_object_id
    ids = {"channelId": chat.channel_id, "conversationId": chat.conversation_id}
    table = await tables.table(PERSONAL_CONVERSATIONS)
    for route in get_args(Route):
        await table.insert(derived_key(chat.tenant_id, chat.aad_object_id), ids, row_key=route)
        assert await ours.find_personal(chat.tenant_id, chat.aad_object_id, route=route) is None
    await ours.mark_gone(chat, at=NOON)
    await ours.heard(chat, at=NOON)
    assert await found(ours, chat) == [chat] * 2


async def test_a_user_whose_row_is_of_another_conversation_meanwhile_keeps_it(
    ours: TableConversationStore, another: TableConversationStore
) -> None:
    old = personal()
    new = msgspec.structs.replace(old, conversation_id=f"{old.conversation_id}-new")
    await ours.heard(old, at=NOON)
    await another.heard(new, at=NOON)
    await ours.mark_gone(old, at=NOON)
    assert await found(ours, new) == [new] * 2
