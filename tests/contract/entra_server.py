"""Entra, and the managed identity endpoints of Azure, on loopback."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import requests
from aiohttp import web

from testconnector.entra import redirected_session

IDENTITY_HEADER = "the-identity-header"


class EntraServer:
    """``asked``: the form of each token request with the URL it was meant for; ``identities``: query of each
    request for a managed identity's token. ``answers``: the next answers of the token endpoints; after them,
    tokens ``token-1``, ``token-2`` ... While ``is_held`` is not set, token requests wait."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.identities: list[dict[str, str]] = []
        self.answers: list[web.Response] = []
        self.lifetime: int = 3600
        self.knows_tenant = True
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.url = ""

    def session(self) -> requests.Session:
        """A session that finds every https host of Entra here."""
        return redirected_session(self.url)

    async def discovery(self, request: web.Request) -> web.Response:
        meant_for = request.headers["X-Meant-For"]
        if not self.knows_tenant:
            told = {"error": "invalid_tenant", "error_description": "s3cret tenant not found"}
            return web.json_response(told, status=400)
        base = meant_for.partition("/v2.0")[0]
        return web.json_response(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
            }
        )

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append({"url": request.headers["X-Meant-For"], **form})
        await self.may_answer.wait()
        if self.answers:
            return self.answers.pop(0)
        return web.json_response(
            {"access_token": f"token-{len(self.asked)}", "expires_in": self.lifetime, "token_type": "Bearer"}
        )

    async def app_service_identity(self, request: web.Request) -> web.Response:
        if request.headers.get("X-IDENTITY-HEADER") != IDENTITY_HEADER:
            return web.json_response({"statusCode": 401, "message": "no header"}, status=401)
        return self._identity(request, {"expires_on": str(int(time.time()) + self.lifetime)})

    async def virtual_machine_identity(self, request: web.Request) -> web.Response:
        if request.headers.get("Metadata") != "true":
            return web.json_response({"error": "invalid_request"}, status=400)
        return self._identity(request, {"expires_in": str(self.lifetime)})

    def _identity(self, request: web.Request, lifetime: dict[str, str]) -> web.Response:
        self.identities.append(dict(request.query))
        if self.answers:
            return self.answers.pop(0)
        token = f"identity-{len(self.identities)}"
        return web.json_response(
            {"access_token": token, "resource": request.query["resource"], "token_type": "Bearer", **lifetime}
        )


@asynccontextmanager
async def entra_server() -> AsyncIterator[EntraServer]:
    """The server, on a free port of 127.0.0.1, for as long as the context lasts."""
    server = EntraServer()
    app = web.Application()
    app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", server.discovery)
    app.router.add_post("/{tenant}/oauth2/v2.0/token", server.token)
    app.router.add_get("/msi/token", server.app_service_identity)
    app.router.add_get("/metadata/identity/oauth2/token", server.virtual_machine_identity)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = site.name
    try:
        yield server
    finally:
        server.may_answer.set()
        await runner.cleanup()
