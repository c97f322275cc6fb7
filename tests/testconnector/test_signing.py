"""Keys, tokens and turns: what a bot checks, and what it is delivered."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import jwt
import msal
import pytest
from aiohttp import web

from testconnector.entra import redirected_session
from testconnector.server import ScriptedConnector
from testconnector.signing import ISSUER, new_key
from tests.testconnector.conftest import Client

TENANT = "11111111-1111-4111-8111-111111111111"
SCOPES = ["https://api.botframework.com/.default"]


async def published(client: Client) -> dict[str, dict[str, Any]]:
    """The keys by their kid, found as a bot finds them."""
    _, metadata, _ = await client.ask("GET", "/.well-known/openidconfiguration")
    assert metadata["issuer"] == ISSUER
    _, key_set, _ = await client.ask("GET", metadata["jwks_uri"][metadata["jwks_uri"].index("/keys") :])
    return {key["kid"]: key for key in key_set["keys"]}


async def claims_of(client: Client, token: str, audience: str) -> dict[str, Any]:
    keys = await published(client)
    key = jwt.PyJWK(keys[jwt.get_unverified_header(token)["kid"]], "RS256")
    claims: dict[str, Any] = jwt.decode(token, key, algorithms=["RS256"], audience=audience, issuer=ISSUER)
    return claims


async def test_a_channel_token_holds_with_the_published_key(
    connector: ScriptedConnector, client: Client
) -> None:
    _, answer, _ = await client.ask("GET", "/_token")
    claims = await claims_of(client, answer["token"], connector.options.app_id)
    assert claims["serviceurl"] == connector.url
    assert (await published(client))["key-1"]["endorsements"] == ["msteams"]
    assert connector.report()["keyFetches"] == 2


async def test_tokens_that_do_not_hold_can_be_made(connector: ScriptedConnector, client: Client) -> None:
    app_id, keys = connector.options.app_id, connector.keys
    _, answer, _ = await client.ask("GET", "/_token?aud=another&age_seconds=7200")
    with pytest.raises(jwt.ExpiredSignatureError):
        await claims_of(client, answer["token"], "another")
    with pytest.raises(jwt.InvalidAudienceError):
        await claims_of(client, connector.channel_token(aud="another"), app_id)
    with pytest.raises(jwt.InvalidSignatureError):
        await claims_of(client, keys.sign({"aud": app_id}, key=new_key()), app_id)
    header = jwt.get_unverified_header(keys.sign({}, key="x" * 32, alg="HS256", kid="made-up"))
    assert (header["alg"], header["kid"]) == ("HS256", "made-up")


async def test_keys_are_changed_on_request(connector: ScriptedConnector, client: Client) -> None:
    old = connector.channel_token()
    _, answer, _ = await client.ask("POST", "/_keys/rotate")
    assert answer == {"kid": "key-2"}
    assert (await published(client)).keys() == {"key-1", "key-2"}
    app_id = connector.options.app_id
    assert await claims_of(client, old, app_id)
    assert await claims_of(client, connector.channel_token(), app_id)
    await client.ask("POST", "/_keys/rotate", {"keep_old": False})
    assert (await published(client)).keys() == {"key-3"}


def app_of(connector: ScriptedConnector) -> msal.ConfidentialClientApplication:
    return msal.ConfidentialClientApplication(
        "app",
        client_credential="s3cret",
        authority=f"https://login.microsoftonline.com/{TENANT}",
        http_client=redirected_session(connector.base_url),
    )


async def test_msal_gets_a_token_and_asks_once(connector: ScriptedConnector) -> None:
    def ask() -> list[dict[str, Any]]:
        app = app_of(connector)
        return [app.acquire_token_for_client(scopes=SCOPES) for _ in range(2)]

    first, second = await asyncio.to_thread(ask)
    assert first["access_token"] == second["access_token"] == "test-token-1"
    assert connector.report()["tokensAsked"] == 1


async def test_msal_is_told_why_it_gets_no_token(connector: ScriptedConnector) -> None:
    connector.tokens.refuses_with = "invalid_client"
    answer = await asyncio.to_thread(lambda: app_of(connector).acquire_token_for_client(scopes=SCOPES))
    assert answer["error"] == "invalid_client"


@pytest.fixture
async def bot() -> AsyncIterator[tuple[str, list[Any]]]:
    """A bot's endpoint, and what it was delivered."""
    delivered: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        delivered.append((request.headers.get("Authorization"), await request.json()))
        return web.json_response({"taken": len(delivered)})

    app = web.Application()
    app.add_routes([web.post("/api/messages", take)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"{site.name}/api/messages", delivered
    await runner.cleanup()


async def test_a_turn_is_delivered_with_a_token_as_often_as_asked(
    connector: ScriptedConnector, client: Client, bot: tuple[str, list[Any]]
) -> None:
    to, delivered = bot
    wanted = {"to": to, "text": "order a laptop", "deliveries": 3, "turn": {"deliveryMode": "expectReplies"}}
    _, answer, _ = await client.ask("POST", "/_turns", wanted)
    assert [one["status"] for one in answer["answers"]] == [200] * 3
    assert {one["body"]["taken"] for one in answer["answers"]} == {1, 2, 3}
    assert [turn for _, turn in delivered] == [answer["turn"]] * 3
    turn = answer["turn"]
    assert (turn["text"], turn["serviceUrl"]) == ("order a laptop", connector.url)
    assert turn["deliveryMode"] == "expectReplies"
    token = delivered[0][0].removeprefix("Bearer ")
    assert (await claims_of(client, token, connector.options.app_id))["serviceurl"] == connector.url


@pytest.mark.parametrize("wanted", [None, [], {}, {"to": 7}, {"to": "http://x/", "deliveries": None}])
async def test_a_turn_that_is_asked_for_wrong_is_a_bad_request(client: Client, wanted: Any) -> None:
    assert (await client.ask("POST", "/_turns", wanted))[0] == 400


async def test_a_turn_is_redelivered_after_a_while(
    connector: ScriptedConnector, bot: tuple[str, list[Any]]
) -> None:
    to, delivered = bot
    answers = await connector.deliver(
        connector.turn("hello"), to=to, deliveries=2, apart_seconds=0.01, token=""
    )
    assert [answer.status for answer in answers] == [200, 200]
    assert [token for token, _ in delivered] == [None, None]
    assert delivered[0][1]["id"] == delivered[1][1]["id"]


async def test_a_bot_that_is_not_there_has_no_status(
    connector: ScriptedConnector, unused_tcp_port: int
) -> None:
    (answer,) = await connector.deliver(connector.turn("x"), to=f"http://127.0.0.1:{unused_tcp_port}/")
    assert answer.status is None
    assert answer.body == "ClientConnectorError"
