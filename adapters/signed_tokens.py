"""Tokens that came in: signature, issuer, audience and lifetime, verified once and remembered."""

import hashlib
import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import jwt
import msgspec

from adapters.signing_keys import PublishedKey, SigningKeys
from adapters.token_issuers import Issuer
from agent.ports import NotAuthenticated, NotAuthorized

ALGORITHM = "RS256"
SKEW = 5 * 60  # seconds; Bot Framework documentation, "Connector to bot", step 4
LONGEST_LIFE = 48 * 3600  # seconds; the channel's tokens hold for an hour, Entra's for a day at most
LONGEST_AUTHORIZATION = 4096  # characters; the channel's tokens have about 1,000, Entra's 2,000
LONGEST_KEY_ID = 256
REMEMBERED = 1000
COMPACT_TOKEN = re.compile(r"Bearer ([A-Za-z0-9_-]+)(\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", re.ASCII)
NOT_THE_CHANNELS = "the token is not one of the channel's for this agent"


class SignedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token whose signature, issuer, audience and lifetime were found right."""

    claims: dict[str, Any]
    key_id: str
    key: PublishedKey


class SignedTokens:
    """Verifies tokens of one issuer for one app, and remembers those that it verified.

    The cryptography is PyJWT's. A remembered token costs a hash instead of a signature; it is forgotten
    when it expires, and when its key is fetched anew or is no longer published.
    """

    def __init__(
        self,
        *,
        app_id: str,
        issuers: frozenset[str],
        keys: SigningKeys,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._audiences = frozenset({app_id, f"api://{app_id}", f"api://botid-{app_id}"})
        self._issuers = issuers
        self._keys = keys
        self._now = now
        self._remembered: OrderedDict[bytes, SignedToken] = OrderedDict()

    async def verified(self, authorization: str | None) -> SignedToken:
        """The token of the header Authorization. Raises NotAuthenticated, NotAuthorized, KeysUnavailable."""
        if not authorization:
            raise NotAuthenticated("the request carries no token")
        if len(authorization) > LONGEST_AUTHORIZATION:
            raise NotAuthorized("the header Authorization is too long")
        digest = hashlib.sha256(authorization.encode("utf-8", "surrogatepass")).digest()
        known = self._remembered.get(digest)
        if known and await self._still_holds(known):
            self._remembered.move_to_end(digest)
            return known
        self._remembered.pop(digest, None)
        token = await self._verify(authorization)
        self._remembered[digest] = token
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return token

    async def _still_holds(self, token: SignedToken) -> bool:
        if self._now() >= token.claims["exp"] + SKEW:
            return False
        return await self._keys.find(token.key_id) is token.key

    async def _verify(self, authorization: str) -> SignedToken:
        found = COMPACT_TOKEN.fullmatch(authorization)
        if not found:
            raise NotAuthorized("the header Authorization is not one Bearer token")
        header, rest = found.groups()
        try:
            # The header alone, so that a token of no known key costs no more than that.
            claimed = jwt.get_unverified_header(f"{header}.e30.e30")
            if claimed.get("alg") != ALGORITHM or not 0 < len(claimed.get("kid", "")) <= LONGEST_KEY_ID:
                raise NotAuthorized(NOT_THE_CHANNELS)
            key = await self._keys.find(claimed["kid"])
            if key is None:
                raise NotAuthorized(NOT_THE_CHANNELS)
            claims = _TOKENS.decode(
                f"{header}{rest}",
                key.public,
                algorithms=[ALGORITHM],
                issuer=self._issuers,
                audience=self._audiences,
                leeway=SKEW,
                options={"require": ["iss", "aud", "exp", "nbf"]},
            )
        except jwt.PyJWTError:
            raise NotAuthorized(NOT_THE_CHANNELS) from None
        self._check(claims)
        return SignedToken(claims=claims, key_id=claimed["kid"], key=key)

    def _check(self, claims: dict[str, Any]) -> None:
        """What PyJWT leaves open: lists of audiences, times as text or fractions, and any length."""
        begins, ends = claims["nbf"], claims["exp"]
        if not isinstance(claims["aud"], str) or type(begins) is not int or type(ends) is not int:
            raise NotAuthorized(NOT_THE_CHANNELS)
        if not 0 < ends - begins <= LONGEST_LIFE or not begins - SKEW <= self._now() < ends + SKEW:
            raise NotAuthorized(NOT_THE_CHANNELS)


class _StrictTokens(jwt.PyJWT):
    """PyJWT, where a claim may be told once only."""

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        try:
            payload = json.loads(decoded["payload"], object_pairs_hook=_told_once, parse_constant=_no_number)
        except (ValueError, RecursionError):
            raise jwt.DecodeError("the payload is not JSON of distinct claims") from None
        if not isinstance(payload, dict):
            raise jwt.DecodeError("the payload is not an object")
        return payload


_TOKENS = _StrictTokens()


def _told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    claims = dict(pairs)
    if len(claims) != len(pairs):
        raise ValueError("a claim is told twice")
    return claims


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def signed_tokens(issuer: Issuer, *, app_id: str, is_allowed: Callable[[str], bool]) -> SignedTokens:
    """The tokens of ``issuer`` for the app; ``is_allowed`` says which URLs may be asked for keys."""
    keys = SigningKeys(issuer.metadata_url, is_allowed=is_allowed)
    return SignedTokens(app_id=app_id, issuers=issuer.names, keys=keys)
