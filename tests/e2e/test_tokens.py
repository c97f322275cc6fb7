"""With an app id, only turns that the channel signed are taken; the others are told why not."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from adapters.storage_account import account_of
from adapters.table_turn_claims import TURN_CLAIMS, TableTurnClaims
from adapters.tables import Tables
from agent.incoming import parse_incoming
from local.functions_host import functions_url
from local.stack import Stack
from testconnector.server import ScriptedConnector, running
from tests.e2e.conftest import RunStack
from tests.forgeries import FORGERIES, Forger

APP_ID = "9b2f6f0e-3a51-4d57-9d0b-0a4f5e1c7d22"
TENANT = "7d0c1b52-5f0e-4b5c-9a37-2c4d5f8e1a60"
ANOTHER_TENANT = "44444444-4444-4444-8444-444444444444"
PROBLEM = "application/problem+json"
TURN_SECONDS = 60
TOO_LARGE = 256 * 1024 + 1


@pytest.fixture(scope="module")
async def channel() -> AsyncIterator[ScriptedConnector]:
    """Publishes keys, and takes what is sent to its service URL."""
    async with running() as connector:
        yield connector


@pytest.fixture(scope="module")
async def stack(run_stack: RunStack, channel: ScriptedConnector) -> AsyncIterator[Stack]:
    settings = {
        "MicrosoftAppId": APP_ID,
        "MicrosoftAppPassword": "not-a-secret",
        "MicrosoftAppTenantId": TENANT,
        "BotOpenIdMetadata": channel.metadata_url,
        "AllowedTenants": TENANT,
    }
    with run_stack(settings) as stack:
        yield stack


@pytest.fixture(scope="module")
def forger(channel: ScriptedConnector) -> Forger:
    """Knows the channel's key."""
    key = channel.keys.current
    return Forger(key.private, key_id=key.kid, app_id=APP_ID, service_url=channel.url)


@pytest.fixture(scope="module")
async def tables(stack: Stack) -> AsyncIterator[Tables]:
    tables = Tables(account_of(stack.connection_string))
    yield tables
    await tables.close()


@pytest.fixture
def turn(channel: ScriptedConnector) -> dict[str, Any]:
    """A greeting whose answer is expected in the response: no token of our own is needed for it."""
    return {**channel.turn("hello", tenant_id=TENANT), "deliveryMode": "expectReplies"}


async def post(
    stack: Stack, body: bytes, authorization: str | None = None
) -> tuple[int, str, dict[str, Any]]:
    """Deliver ``body``: status, content type, JSON body of the answer."""
    headers = {"Content-Type": "application/json"}
    if authorization is not None:
        headers["Authorization"] = authorization
    timeout = aiohttp.ClientTimeout(total=TURN_SECONDS)
    url = f"{functions_url(stack.ports)}/api/messages"
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, data=body, headers=headers) as answer,
    ):
        return answer.status, answer.content_type, await answer.json(content_type=None)


async def is_begun(tables: Tables, body: bytes) -> bool:
    """Whether anybody set to work on this turn."""
    return await TableTurnClaims(tables).read(parse_incoming(body)[1].turn_key) is not None


async def claimed_turns(tables: Tables) -> int:
    table = await tables.table(TURN_CLAIMS)
    return sum([len(page) async for page in table.pages()])


async def test_a_turn_that_the_channel_signed_is_answered(
    stack: Stack, turn: dict[str, Any], forger: Forger, tables: Tables
) -> None:
    body = json.dumps(turn).encode()
    status, _, answer = await post(stack, body, f"Bearer {forger.token()}")
    assert status == 200
    assert "Order a laptop" in str(answer["activities"])
    assert await is_begun(tables, body)


async def test_a_turn_without_a_token_is_refused(stack: Stack, turn: dict[str, Any], tables: Tables) -> None:
    body = json.dumps(turn).encode()
    status, content_type, answer = await post(stack, body)
    assert (status, content_type) == (401, PROBLEM)
    assert "no token" in answer["detail"]
    assert not await is_begun(tables, body)


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_token_begins_nothing(
    stack: Stack,
    turn: dict[str, Any],
    channel: ScriptedConnector,
    forger: Forger,
    tables: Tables,
    name: str,
) -> None:
    # As Teams sends it, so that an answer would come by way of the connector.
    body = json.dumps({**turn, "deliveryMode": "normal"}).encode()
    before = await claimed_turns(tables)
    status, content_type, answer = await post(stack, body, FORGERIES[name](forger))
    assert status in (401, 403)
    assert content_type == PROBLEM
    assert answer["status"] == status
    assert not await is_begun(tables, body)
    assert await claimed_turns(tables) == before
    assert channel.calls == []


async def test_all_those_keys_that_nobody_knows_had_the_channels_keys_fetched_twice_at_most(
    channel: ScriptedConnector,
) -> None:
    assert 1 <= channel.key_fetches <= 2


Change = Callable[[dict[str, Any]], dict[str, Any]]

CHANGES: dict[str, tuple[Change, int]] = {
    "another service URL": (lambda turn: {**turn, "serviceUrl": "https://evil.example/"}, 403),
    "a channel that the key is not endorsed for": (lambda turn: {**turn, "channelId": "webchat"}, 403),
    "another tenant": (
        lambda turn: {
            **turn,
            "conversation": {**turn["conversation"], "tenantId": ANOTHER_TENANT},
            "channelData": {"tenant": {"id": ANOTHER_TENANT}},
        },
        403,
    ),
    "two tenants": (lambda turn: {**turn, "channelData": {"tenant": {"id": ANOTHER_TENANT}}}, 403),
    "no tenant": (
        lambda turn: {
            **turn,
            "conversation": {**turn["conversation"], "tenantId": None},
            "channelData": {},
        },
        403,
    ),
}


@pytest.mark.parametrize("name", CHANGES)
async def test_a_turn_that_its_token_does_not_stand_for_begins_nothing(
    stack: Stack, turn: dict[str, Any], forger: Forger, tables: Tables, name: str
) -> None:
    change, expected = CHANGES[name]
    body = json.dumps(change(turn)).encode()
    status, content_type, _ = await post(stack, body, f"Bearer {forger.token()}")
    assert (status, content_type) == (expected, PROBLEM)
    assert not await is_begun(tables, body)


async def test_what_is_too_large_or_too_deep_is_refused_with_the_reason(
    stack: Stack, turn: dict[str, Any], forger: Forger, tables: Tables
) -> None:
    before = await claimed_turns(tables)
    bearer = f"Bearer {forger.token()}"
    large = json.dumps({**turn, "text": "x" * TOO_LARGE}).encode()
    deep = json.dumps({**turn, "value": "deep"}).replace('"deep"', "[" * 100 + "]" * 100).encode()
    status, content_type, _ = await post(stack, large, bearer)
    assert (status, content_type) == (413, PROBLEM)
    status, content_type, answer = await post(stack, deep, bearer)
    assert (status, content_type) == (400, PROBLEM)
    assert "nested" in answer["detail"]
    # Who they are comes first: a stranger does not learn what a body must be.
    assert (await post(stack, deep))[0] == 401
    assert await claimed_turns(tables) == before
