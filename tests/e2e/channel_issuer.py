"""A stand-in for the channel's token issuer: a key of its own, its OpenID metadata over loopback HTTP."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from local.ports import LOOPBACK, free_ports

ISSUER = "https://api.botframework.com"  # what Bot Framework's own tokens say
KEY_ID = "the-channels-key"


class ChannelIssuer:
    """Signs tokens as Bot Framework does, and publishes the key with which to check them."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def token(self, *, app_id: str, service_url: str, age_seconds: int = 0) -> str:
        """A token for one turn, issued ``age_seconds`` ago for one hour."""
        issued_at = int(time.time()) - age_seconds
        claims = {
            "iss": ISSUER,
            "aud": app_id,
            "serviceurl": service_url,
            "nbf": issued_at,
            "exp": issued_at + 3600,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def key_set(self) -> dict[str, Any]:
        published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**published, "kid": KEY_ID, "use": "sig", "endorsements": ["msteams"]}]}


@asynccontextmanager
async def published(issuer: ChannelIssuer) -> AsyncIterator[str]:
    """Serve the issuer's metadata and keys; the URL of the metadata comes back."""
    [port] = free_ports(1)
    base_url = f"http://{LOOPBACK}:{port}"

    async def metadata(request: web.Request) -> web.Response:
        return web.json_response({"issuer": ISSUER, "jwks_uri": f"{base_url}/keys"})

    async def keys(request: web.Request) -> web.Response:
        return web.json_response(issuer.key_set())

    app = web.Application()
    app.add_routes([web.get("/openid", metadata), web.get("/keys", keys)])
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, LOOPBACK, port).start()
        yield f"{base_url}/openid"
    finally:
        await runner.cleanup()
