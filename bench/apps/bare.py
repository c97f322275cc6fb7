"""No SDK: aiohttp on both sides, the token checked by PyJWT with the key at hand; the floor for all."""

import json
from typing import Any

import aiohttp
import jwt
from aiohttp import web

from bench.apps.program import IS_SIGNED, PORT, SERVICE_URL, STUB, Send, run
from bench.who import AGENT_ID, APP_ID, TENANT_ID

ISSUER = "https://api.botframework.com"


async def new_session() -> aiohttp.ClientSession:
    """A session that carries the agent's token, fetched once."""
    if not IS_SIGNED:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200))
    async with aiohttp.ClientSession() as session:
        url = f"{STUB}/login.microsoftonline.com/{TENANT_ID}/oauth2/v2.0/token"
        async with session.post(url, data={"grant_type": "client_credentials"}) as response:
            token = (await response.json())["access_token"]
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=200), headers={"Authorization": f"Bearer {token}"}
    )


async def channel_keys() -> dict[str, jwt.PyJWK]:
    async with aiohttp.ClientSession() as session:
        url = f"{STUB}/login.botframework.com/v1/.well-known/keys"
        async with session.get(url) as response:
            return {
                key.key_id: key for key in jwt.PyJWKSet.from_dict(await response.json()).keys if key.key_id
            }


async def serve() -> None:
    session, keys = await new_session(), await channel_keys()

    async def messages(request: web.Request) -> web.Response:
        if IS_SIGNED:
            token = request.headers["Authorization"].removeprefix("Bearer ")
            key = keys[jwt.get_unverified_header(token)["kid"]]
            jwt.decode(token, key, algorithms=["RS256"], audience=APP_ID, issuer=ISSUER)
        incoming = json.loads(await request.read())
        reply: dict[str, Any] = {
            "type": "message",
            "text": f"You said: {incoming['text']}",
            "from": incoming["recipient"],
            "recipient": incoming["from"],
            "conversation": incoming["conversation"],
            "replyToId": incoming["id"],
        }
        url = f"{incoming['serviceUrl']}v3/conversations/{incoming['conversation']['id']}/activities"
        async with session.post(f"{url}/{incoming['id']}", json=reply) as response:
            await response.read()
        return web.Response()

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    session = await new_session()

    async def send(number: int) -> None:
        conversation_id = f"a:conversation-{number:08}"
        message = {
            "type": "message",
            "text": f"Your order {number} has arrived.",
            "from": {"id": AGENT_ID},
            "conversation": {"id": conversation_id, "tenantId": TENANT_ID},
        }
        url = f"{SERVICE_URL}v3/conversations/{conversation_id}/activities"
        async with session.post(url, json=message) as response:
            await response.read()

    return send


if __name__ == "__main__":
    run(serve=serve, sender=sender)
