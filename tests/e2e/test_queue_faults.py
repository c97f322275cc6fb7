"""A queue message that cannot be delivered ends in the ledger, with the reason and with its body."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from adapters.storage_account import account_of
from adapters.tables import Tables
from local.playground_driver import PlaygroundDriver
from local.send import put_on_queue
from local.stack import Stack
from tests.e2e.conftest import RunStack

LEDGER_SECONDS = 60
Row = Mapping[str, Any]


@pytest.fixture(scope="module")
def stack(run_stack: RunStack) -> Iterator[Stack]:
    # Five attempts as in production, with less time between them.
    settings = {"AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:01"}
    with run_stack(settings) as running:
        yield running


async def ledger_row(stack: Stack, matches: Callable[[Row], bool]) -> Row:
    """The first row of the ledger that ``matches``, as soon as there is one."""
    deadline = time.monotonic() + LEDGER_SECONDS
    rows: list[Row] = []
    tables = Tables(account_of(stack.connection_string))
    try:
        ledger = await tables.table("deliveries")
        while time.monotonic() < deadline:
            rows = [row.columns async for page in ledger.pages() for row in page]
            if found := next(filter(matches, rows), None):
                return found
            await asyncio.sleep(0.2)
    finally:
        await tables.close()
    pytest.fail(f"No such row in the ledger within {LEDGER_SECONDS} s; there are: {rows}")


async def test_a_malformed_message_ends_in_the_ledger_with_its_reason(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    put_on_queue("this is no JSON", connection_string=stack.connection_string)
    row = await ledger_row(stack, lambda row: row["state"] == "failed")
    assert "not a proactive message" in row["reason"]
    assert row["body"] == b"this is no JSON"
    assert playground.shown == []


async def test_a_message_for_an_unknown_conversation_ends_in_the_ledger_with_its_reason(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    body = (
        '{"version":1,"deliveryId":"nowhere-1","text":"Hello?",'
        '"to":{"kind":"conversation","channelId":"msteams","conversationId":"a:nowhere"}}'
    )
    put_on_queue(body, connection_string=stack.connection_string)
    row = await ledger_row(stack, lambda row: row["PartitionKey"] == "nowhere-1" and row["state"] == "failed")
    assert "ConversationUnknown" in row["reason"]
    assert row["attempts"] == 5
    assert playground.shown == []
