"""What one process remembers of the conversations that it wrote, beside another process."""

from datetime import timedelta

import msgspec
import pytest

from adapters.table_conversations import TableConversationStore
from adapters.tables import Tables
from agent.conversation import Conversation
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


async def test_a_user_whose_row_is_of_another_conversation_meanwhile_keeps_it(
    ours: TableConversationStore, another: TableConversationStore
) -> None:
    old = personal()
    new = msgspec.structs.replace(old, conversation_id=f"{old.conversation_id}-new")
    await ours.heard(old, at=NOON)
    await another.heard(new, at=NOON)
    await ours.mark_gone(old, at=NOON)
    assert await found(ours, new) == [new] * 2
