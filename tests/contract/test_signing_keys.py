"""The keys of the channel: fetched when they are needed, kept for long, and never at a stranger's bidding."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.signing_keys import LARGEST_DOCUMENT, SigningKeys
from agent.ports import KeysUnavailable
from settings import is_safe_url
from tests.contract.key_server import KeyServer, key_server

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
HOUR = 3600
DAY = 24 * HOUR


class Stepped:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Stepped:
    return Stepped()


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        server.publish(KEY, "key-1")
        yield server


@pytest.fixture
async def keys(server: KeyServer, clock: Stepped) -> AsyncIterator[SigningKeys]:
    keys = SigningKeys(
        server.metadata_url, is_allowed=partial(is_safe_url, is_development=True), seconds=clock
    )
    yield keys
    await keys.close()


async def test_many_at_once_cause_one_fetch_and_it_holds_for_half_a_day(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    found = await asyncio.gather(*(keys.find("key-1") for _ in range(50)))
    assert None not in found
    clock.now = 12 * HOUR
    await keys.find("key-1")
    assert server.asked == 1


async def test_they_are_fetched_anew_in_the_background_while_they_are_fresh(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    old = await keys.find("key-1")
    clock.now = 13 * HOUR
    assert await keys.find("key-1") is old  # nobody waited for the fetch
    await asyncio.gather(*(task for task in asyncio.all_tasks() if "_try_to_fetch" in repr(task)))
    assert server.asked == 2
    assert await keys.find("key-1") is not old


async def test_old_keys_are_used_for_five_days_while_no_new_ones_are_to_be_had(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    old = await keys.find("key-1")
    server.keys_answer = web.Response(status=500)
    clock.now = 4 * DAY
    assert await keys.find("key-1") is old
    clock.now = 5 * DAY + 1
    server.keys_answer = web.Response(status=500)  # a Response answers once; the next would be silence
    with pytest.raises(KeysUnavailable):
        await keys.find("key-1")
    server.keys_answer = None
    clock.now += 11
    assert await keys.find("key-1")


async def test_a_key_that_is_no_longer_published_is_gone_after_a_day(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    assert await keys.find("key-1")
    server.keys.clear()
    server.publish(KEY, "key-2")
    clock.now = DAY + 1
    assert await keys.find("key-1") is None
    assert server.asked == 2


async def test_a_new_key_is_found_at_once(keys: SigningKeys, server: KeyServer, clock: Stepped) -> None:
    await keys.find("key-1")
    server.publish(KEY, "key-2")
    clock.now = 1
    assert all(await asyncio.gather(*(keys.find("key-2") for _ in range(20))))
    assert server.asked == 2


async def test_unknown_keys_cause_one_fetch_in_five_minutes_and_a_new_key_is_found_then(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    await keys.find("key-1")
    for number in range(100):
        clock.now += 1
        assert await keys.find(f"made-up-{number}") is None
    assert server.asked == 2
    server.publish(KEY, "key-2")
    assert await keys.find("key-2") is None
    clock.now += 5 * 60
    assert await keys.find("key-2")
    assert server.asked == 3


async def test_while_the_issuer_is_out_it_is_asked_once_in_ten_seconds_and_known_keys_hold(
    keys: SigningKeys, server: KeyServer, clock: Stepped
) -> None:
    await keys.find("key-1")
    server.keys_answer = web.Response(status=503)
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            await keys.find("key-2")
    assert server.asked == 2
    assert await keys.find("key-1")
    server.keys_answer = None
    server.publish(KEY, "key-2")
    clock.now += 10
    assert await keys.find("key-2")


async def test_one_who_goes_away_does_not_take_the_fetch_from_the_others(
    keys: SigningKeys, server: KeyServer
) -> None:
    first, second = (asyncio.create_task(keys.find("key-1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second
    assert server.asked == 1


def jwk(**fields: Any) -> dict[str, Any]:
    numbers = KEY.public_key().public_numbers()
    n = base64.urlsafe_b64encode(numbers.n.to_bytes(256, "big")).rstrip(b"=").decode()
    return {"kty": "RSA", "kid": "odd", "n": n, "e": "AQAB", "endorsements": ["msteams"], **fields}


@pytest.mark.parametrize(
    "odd",
    [
        jwk(kty="oct", k="c2VjcmV0"),
        jwk(kty="EC", crv="P-256"),
        jwk(use="enc"),
        jwk(alg="HS256"),
        jwk(n=""),
        jwk(n="!"),
        jwk(e=""),
        jwk(n=base64.urlsafe_b64encode(b"\xc3" * 128).decode()),
    ],
    ids=["secret", "EC", "for encryption", "HS256", "no modulus", "no base64", "no exponent", "1024 bits"],
)
async def test_a_key_that_is_not_for_rs256_is_not_used(
    keys: SigningKeys, server: KeyServer, odd: dict[str, Any]
) -> None:
    server.keys.append(odd)
    assert await keys.find("odd") is None
    assert await keys.find("key-1")


ANSWERS: dict[str, dict[str, Any]] = {
    "404": {"status": 404},
    "a redirect": {"status": 302, "headers": {"Location": "/metadata"}},
    "no JSON": {"text": "<html>"},
    "no keys": {"text": '{"keys": []}'},
    "keys a text": {"text": '{"keys": "all"}'},
    "a list": {"text": "[]"},
    "too large": {"text": json.dumps({"keys": [jwk(kid="key-1")]}) + " " * LARGEST_DOCUMENT},
    "nested deep": {"text": "[" * 100_000},
}


@pytest.mark.parametrize("name", ANSWERS)
async def test_an_answer_that_is_no_set_of_keys_changes_nothing(
    keys: SigningKeys, server: KeyServer, clock: Stepped, name: str
) -> None:
    server.keys_answer = web.Response(**ANSWERS[name])
    with pytest.raises(KeysUnavailable):
        await keys.find("key-1")
    server.keys_answer = None
    clock.now = 11
    old = await keys.find("key-1")
    server.keys_answer = web.Response(**ANSWERS[name])
    clock.now = 2 * DAY
    assert await keys.find("key-1") is old


@pytest.mark.parametrize("field", ["metadata", "jwks_uri"])
async def test_the_metadatas_redirect_and_another_hosts_keys_by_http_are_not_followed(
    keys: SigningKeys, server: KeyServer, field: str
) -> None:
    if field == "metadata":
        server.metadata_answer = web.Response(status=301, headers={"Location": f"{server.url}/keys"})
    else:
        server.jwks_uri = "http://keys.example/keys"
    with pytest.raises(KeysUnavailable):
        await keys.find("key-1")
    assert server.asked == 0


async def test_outside_development_not_even_loopback_is_asked_by_http(server: KeyServer) -> None:
    keys = SigningKeys(server.metadata_url, is_allowed=partial(is_safe_url, is_development=False))
    with pytest.raises(KeysUnavailable):
        await keys.find("key-1")
    await keys.close()
    assert server.asked == 0


async def test_an_issuer_that_is_not_reached_is_told_from_an_unknown_key(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/metadata"
    keys = SigningKeys(url, is_allowed=partial(is_safe_url, is_development=True))
    with pytest.raises(KeysUnavailable):
        await keys.find("key-1")
    await keys.close()
