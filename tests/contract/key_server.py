"""An issuer's OpenID metadata and keys, on loopback."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.forgeries import public_jwk


class KeyServer:
    """``keys`` are published; ``metadata_answer`` and ``keys_answer``, where given, are told instead.
    ``asked`` counts the requests for the keys."""

    def __init__(self) -> None:
        self.keys: list[dict[str, Any]] = []
        self.jwks_uri = ""
        self.metadata_answer: web.Response | None = None
        self.keys_answer: web.Response | None = None
        self.asked = 0
        self.url = ""

    def publish(
        self, key: rsa.RSAPrivateKey, key_id: str, *, endorsements: Sequence[str] | None = ("msteams",)
    ) -> None:
        jwk = {**public_jwk(key), "kid": key_id}
        self.keys.append(jwk if endorsements is None else {**jwk, "endorsements": list(endorsements)})

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/metadata"

    async def tell_metadata(self, request: web.Request) -> web.Response:
        return self.metadata_answer or web.json_response({"jwks_uri": self.jwks_uri})

    async def tell_keys(self, request: web.Request) -> web.Response:
        self.asked += 1
        return self.keys_answer or web.json_response({"keys": self.keys})


@asynccontextmanager
async def key_server() -> AsyncIterator[KeyServer]:
    """The server, on a free port of 127.0.0.1, for as long as the context lasts."""
    server = KeyServer()
    app = web.Application()
    app.add_routes([web.get("/metadata", server.tell_metadata), web.get("/keys", server.tell_keys)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name
    server.jwks_uri = f"{site.name}/keys"
    try:
        yield server
    finally:
        await runner.cleanup()
