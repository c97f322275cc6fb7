"""With an app id, only turns that the channel signed are taken; the others are told why not."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.playground import connector_url
from local.playground_driver import PlaygroundDriver
from local.stack import Stack
from testconnector.server import ScriptedConnector, running
from testconnector.signing import SigningKeys
from tests.e2e.conftest import RunStack
from tests.e2e.turns import message_turn, post_turn

APP_ID = "9b2f6f0e-3a51-4d57-9d0b-0a4f5e1c7d22"
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[ScriptedConnector]:
    async with running() as connector:
        yield connector


@pytest.fixture(scope="module")
async def stack(run_stack: RunStack, issuer: ScriptedConnector) -> AsyncIterator[Stack]:
    settings = {
        "MicrosoftAppId": APP_ID,
        "MicrosoftAppPassword": "not-a-secret",
        "MicrosoftAppTenantId": "7d0c1b52-5f0e-4b5c-9a37-2c4d5f8e1a60",
        "BotOpenIdMetadata": issuer.metadata_url,
    }
    with run_stack(settings) as stack:
        yield stack


@pytest.fixture
def turn(stack: Stack, playground: PlaygroundDriver) -> dict[str, Any]:
    """A greeting whose answer is expected in the response: no token of our own is needed for it."""
    greeting = message_turn("hello", playground=playground, ports=stack.ports)
    return {**greeting, "deliveryMode": "expectReplies"}


async def test_a_turn_that_the_channel_signed_is_answered(
    stack: Stack, turn: dict[str, Any], issuer: ScriptedConnector
) -> None:
    token = issuer.keys.channel_token(app_id=APP_ID, service_url=connector_url(stack.ports))
    status, _, body = await post_turn(turn, ports=stack.ports, token=token)
    assert status == 200
    assert body is not None
    assert "Order a laptop" in str(body["activities"])


async def test_a_turn_without_a_token_is_refused(stack: Stack, turn: dict[str, Any]) -> None:
    status, content_type, body = await post_turn(turn, ports=stack.ports)
    assert (status, content_type) == (401, PROBLEM)
    assert body is not None
    assert "no token" in body["detail"]


@pytest.mark.parametrize(
    "fault",
    ["forged", "expired", "for another app", "for another service URL", "of no known algorithm"],
)
async def test_a_turn_with_a_token_that_the_channel_did_not_sign_for_it_is_refused(
    stack: Stack, turn: dict[str, Any], issuer: ScriptedConnector, fault: str
) -> None:
    service_url = connector_url(stack.ports)
    tokens = {
        "forged": SigningKeys().channel_token(app_id=APP_ID, service_url=service_url),
        "expired": issuer.keys.channel_token(app_id=APP_ID, service_url=service_url, age_seconds=2 * 3600),
        "for another app": issuer.keys.channel_token(app_id="another-app", service_url=service_url),
        "for another service URL": issuer.keys.channel_token(
            app_id=APP_ID, service_url="https://elsewhere.example/"
        ),
        "of no known algorithm": "eyJhbGciOiJub25lIn0.e30.",
    }
    status, content_type, body = await post_turn(turn, ports=stack.ports, token=tokens[fault])
    assert status in (401, 403)
    assert content_type == PROBLEM
    assert body is not None
    assert "activities" not in body
