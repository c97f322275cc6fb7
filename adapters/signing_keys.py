"""The keys with which a token's issuer signs: fetched, kept, and refreshed before they are old."""

import asyncio
import logging
import time
from collections.abc import Callable

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import InvalidKeyError
from jwt.algorithms import RSAAlgorithm

from adapters.response_body import read_body
from agent.ports import KeysUnavailable

log = logging.getLogger(__name__)

TIMEOUT = aiohttp.ClientTimeout(total=5, connect=3)
LARGEST_DOCUMENT = 512 * 1024  # bytes; Bot Framework's keys, with their certificates, have some 20 KB
SMALLEST_KEY = 2048  # bits
# Seconds. Bot Framework documentation: the keys may be cached for five days.
REFRESHED_AFTER = 12 * 3600
FRESH_FOR = 24 * 3600
USABLE_FOR = 5 * 24 * 3600
# A stranger can name keys that nobody knows; that must not make us fetch, and a real change of keys
# must not wait long.
UNKNOWN_KEY_PAUSE = 5 * 60
FAILURE_PAUSE = 10
NOT_FETCHED = "the channel's signing keys cannot be fetched"


class PublishedKey(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A public key and the channels for which it may sign; each fetch makes new objects."""

    public: RSAPublicKey
    endorsements: frozenset[str]


class _Metadata(msgspec.Struct, frozen=True):
    jwks_uri: str


class _Jwk(msgspec.Struct, frozen=True):
    kty: str
    kid: str = ""
    use: str | None = None
    alg: str | None = None
    n: str = ""
    e: str = ""
    endorsements: list[str] | None = None


class _KeySet(msgspec.Struct, frozen=True):
    keys: list[_Jwk]


class SigningKeys:
    """The keys behind one OpenID metadata URL. ``is_allowed`` says which URLs may be asked."""

    def __init__(
        self,
        metadata_url: str,
        *,
        is_allowed: Callable[[str], bool],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metadata_url = metadata_url
        self._is_allowed = is_allowed
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None
        self._fetch: asyncio.Task[bool] | None = None
        self._keys: dict[str, PublishedKey] = {}
        self._fetched_at = float("-inf")
        self._may_fetch_at = float("-inf")
        self._may_look_for_unknown_at = float("-inf")

    async def find(self, key_id: str) -> PublishedKey | None:
        """The key of this name, or None when it is not published. Raises KeysUnavailable."""
        age = self._seconds() - self._fetched_at
        if age > FRESH_FOR and await self._refreshed():
            return self._keys.get(key_id)
        if age > USABLE_FOR:
            raise KeysUnavailable(NOT_FETCHED)
        if age > REFRESHED_AFTER:
            self._begin_refresh()
        return self._keys.get(key_id) or await self._look_for_unknown(key_id)

    async def close(self) -> None:
        if self._fetch:
            await self._fetch
        if self._session:
            await self._session.close()

    async def _look_for_unknown(self, key_id: str) -> PublishedKey | None:
        now = self._seconds()
        if self._fetch is None and now >= self._may_fetch_at:
            if now < self._may_look_for_unknown_at:
                return None
            self._may_look_for_unknown_at = now + UNKNOWN_KEY_PAUSE
        if not await self._refreshed():
            raise KeysUnavailable(NOT_FETCHED)
        return self._keys.get(key_id)

    async def _refreshed(self) -> bool:
        """Fetch the keys, once for all who wait; False when that failed or was tried just now."""
        self._begin_refresh()
        # One who goes away does not take the fetch from the others.
        return await asyncio.shield(self._fetch) if self._fetch else False

    def _begin_refresh(self) -> None:
        if self._fetch is None and self._seconds() >= self._may_fetch_at:
            self._fetch = asyncio.create_task(self._try_to_fetch())

    async def _try_to_fetch(self) -> bool:
        try:
            self._keys = await self._fetched()
            self._fetched_at = self._seconds()
            return True
        except (aiohttp.ClientError, TimeoutError, ValueError, msgspec.MsgspecError, RecursionError) as error:
            self._may_fetch_at = self._seconds() + FAILURE_PAUSE
            self._may_look_for_unknown_at = self._may_fetch_at  # nothing was learnt
            log.warning("The channel's signing keys were not fetched: %s", type(error).__name__)
            return False
        finally:
            self._fetch = None

    async def _fetched(self) -> dict[str, PublishedKey]:
        metadata = msgspec.json.decode(await self._get(self._metadata_url), type=_Metadata)
        published = msgspec.json.decode(await self._get(metadata.jwks_uri), type=_KeySet)
        keys = {jwk.kid: key for jwk in published.keys if jwk.kid and (key := _usable(jwk))}
        if not keys:
            raise ValueError("no usable key is published")
        return keys

    async def _get(self, url: str) -> bytes:
        if not self._is_allowed(url):
            raise ValueError("the URL of the keys is not one that may be asked")
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=TIMEOUT)
        async with self._session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"the keys' host answered {response.status}")
            return await read_body(response, most_bytes=LARGEST_DOCUMENT)


def _usable(jwk: _Jwk) -> PublishedKey | None:
    if jwk.kty != "RSA" or jwk.use not in (None, "sig") or jwk.alg not in (None, "RS256"):
        return None
    try:
        public = RSAAlgorithm.from_jwk({"kty": "RSA", "n": jwk.n, "e": jwk.e})
    except (InvalidKeyError, ValueError):
        return None
    if not isinstance(public, RSAPublicKey) or public.key_size < SMALLEST_KEY:
        return None
    return PublishedKey(public=public, endorsements=frozenset(jwk.endorsements or ()))
