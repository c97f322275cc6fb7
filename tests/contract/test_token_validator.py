"""Did the channel sign this turn? botframework-connector's real check, its keys served here."""

import time
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from botframework.connector.auth import JwtTokenExtractor
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from adapters.token_validator import ChannelTokenValidator, NoTurns, UnsignedTurns
from agent.ports import KeysUnavailable, NotAuthenticated, NotAuthorized
from settings import is_loopback

APP_ID = "22222222-2222-4222-8222-222222222222"
SERVICE_URL = "https://smba.example/teams/"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(key: rsa.RSAPrivateKey = KEY, kid: str = "key-1", algorithm: str = "RS256", **claims: Any) -> str:
    now = int(time.time())
    given = {
        "iss": "https://api.botframework.com",
        "aud": APP_ID,
        "serviceurl": SERVICE_URL,
        "nbf": now - 60,
        "exp": now + 600,
        **claims,
    }
    return jwt.encode(given, key, algorithm=algorithm, headers={"kid": kid})


def jwk(key: rsa.RSAPrivateKey, kid: str) -> dict[str, Any]:
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "endorsements": ["msteams"]}


PUBLISHED = [jwk(KEY, "key-1")]


@pytest.fixture(scope="module")
async def validator() -> AsyncIterator[ChannelTokenValidator]:

    async def metadata(request: web.Request) -> web.Response:
        return web.json_response({"jwks_uri": f"http://{request.host}/keys"})

    async def keys(request: web.Request) -> web.Response:
        return web.json_response({"keys": PUBLISHED})

    app = web.Application()
    app.add_routes([web.get("/metadata", metadata), web.get("/keys", keys)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield ChannelTokenValidator(app_id=APP_ID, open_id_metadata_url=f"{site.name}/metadata")
    await runner.cleanup()


async def check(validator: ChannelTokenValidator, token: str | None, channel_id: str = "msteams") -> None:
    authorization = None if token is None else f"Bearer {token}"
    await validator.validate(authorization, channel_id=channel_id, service_url=SERVICE_URL)


async def test_a_token_of_the_channel_is_let_in(validator: ChannelTokenValidator) -> None:
    await check(validator, sign())


async def test_a_missing_token_is_told_from_a_bad_one(validator: ChannelTokenValidator) -> None:
    with pytest.raises(NotAuthenticated):
        await check(validator, None)


EMULATOR = "https://sts.windows.net/d6d49420-f39b-4df7-a1dc-d59a935871db/"


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(lambda: sign(key=OTHER_KEY), id="forged"),
        pytest.param(lambda: sign(exp=int(time.time()) - 301), id="expired"),
        pytest.param(lambda: sign(nbf=int(time.time()) + 900), id="not yet valid"),
        pytest.param(lambda: sign(aud="33333333-3333-4333-8333-333333333333"), id="for another app"),
        pytest.param(lambda: sign(serviceurl="https://evil.example/"), id="for another service URL"),
        pytest.param(lambda: sign(iss="https://evil.example"), id="of another issuer"),
        pytest.param(lambda: sign(iss=EMULATOR, appid=APP_ID, ver="1.0"), id="of the emulator"),
        pytest.param(lambda: sign(kid="key-2"), id="of an unknown key"),
        pytest.param(lambda: jwt.encode({"aud": APP_ID}, "x" * 32, algorithm="HS256"), id="HS256"),
        pytest.param(lambda: "not-a-token", id="no token at all"),
        pytest.param(lambda: "", id="empty"),
    ],
)
async def test_a_token_that_does_not_hold_is_refused(
    validator: ChannelTokenValidator, token: Callable[[], str]
) -> None:
    with pytest.raises(NotAuthorized):
        await check(validator, token())


async def test_a_key_that_is_not_endorsed_for_the_channel_is_refused(
    validator: ChannelTokenValidator,
) -> None:
    with pytest.raises(NotAuthorized):
        await check(validator, sign(), channel_id="webchat")


async def test_a_new_key_is_fetched_when_the_known_ones_are_an_hour_old(
    validator: ChannelTokenValidator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(validator, sign())
    PUBLISHED.append(jwk(OTHER_KEY, "key-2"))
    with pytest.raises(NotAuthorized):
        await check(validator, sign(key=OTHER_KEY, kid="key-2"))
    (known,) = (keys for url, keys in JwtTokenExtractor.metadataCache.items() if "127.0.0.1" in url)
    known.last_updated -= timedelta(hours=1)
    await check(validator, sign(key=OTHER_KEY, kid="key-2"))
    PUBLISHED.pop()


async def test_keys_that_cannot_be_fetched_are_told_from_a_bad_token(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/metadata"
    validator = ChannelTokenValidator(app_id=APP_ID, open_id_metadata_url=url)
    with pytest.raises(KeysUnavailable):
        await check(validator, sign())


async def test_another_scheme_is_refused(validator: ChannelTokenValidator) -> None:
    with pytest.raises(NotAuthorized):
        await validator.validate(f"Basic {sign()}", channel_id="msteams", service_url=SERVICE_URL)


async def test_unsigned_turns_come_from_this_machine_only() -> None:
    unsigned = UnsignedTurns(is_loopback=is_loopback)
    await unsigned.validate(None, channel_id="msteams", service_url="http://localhost:56150/_connector")
    with pytest.raises(NotAuthorized):
        await unsigned.validate(None, channel_id="msteams", service_url=SERVICE_URL)


async def test_without_an_app_id_nobody_is_let_in() -> None:
    with pytest.raises(NotAuthorized):
        await NoTurns().validate("Bearer x", channel_id="msteams", service_url="http://localhost/")
