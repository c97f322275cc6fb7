"""Channel activities as the Playground sends them, made by hand, and sent straight to the app."""

import uuid
from typing import Any

import aiohttp

from local.functions_host import functions_url
from local.playground import connector_url
from local.playground_driver import PlaygroundDriver
from local.ports import Ports

TURN_SECONDS = 60


def message_turn(text: str, *, playground: PlaygroundDriver, ports: Ports) -> dict[str, Any]:
    """What the person at the Playground would send by typing ``text``, with an activity id of its own."""
    tenant_id = playground.configuration["tenantId"]
    return {
        "type": "message",
        "id": str(uuid.uuid4()),
        "text": text,
        "textFormat": "plain",
        "channelId": "msteams",
        "serviceUrl": connector_url(ports),
        "from": {"id": playground.user_id, "name": "Alex Wilber", "aadObjectId": playground.user_id},
        "recipient": {"id": playground.configuration["bot"]["id"], "name": "Afterword"},
        "conversation": {
            "id": playground.personal_chat_id,
            "conversationType": "personal",
            "tenantId": tenant_id,
        },
        "channelData": {"tenant": {"id": tenant_id}},
    }


async def post_turn(
    turn: dict[str, Any], *, ports: Ports, token: str | None = None
) -> tuple[int, str, dict[str, Any] | None]:
    """Deliver ``turn`` to the app: status, content type, JSON body."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    url = f"{functions_url(ports)}/api/messages"
    timeout = aiohttp.ClientTimeout(total=TURN_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(url, json=turn, headers=headers) as answer,
    ):
        body = await answer.json(content_type=None) if await answer.read() else None
        return answer.status, answer.content_type, body
