"""Turns: what Teams delivers to a bot, with a token, once or several times."""

import asyncio
import json
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from testconnector.conversations import user_id_of

USER = "c2a5f1d4-83b7-4e6e-9f0d-6b1f3a7c9e21"
TENANT = "7d0c1b52-5f0e-4b5c-9a37-2c4d5f8e1a60"
TURN_SECONDS = 15.0  # after which Teams waits no longer


@dataclass(frozen=True, kw_only=True)
class TurnAnswer:
    """What one delivery was answered; ``status`` is None if there was no answer in time."""

    status: int | None
    seconds: float
    body: Any = None

    def shown(self) -> dict[str, Any]:
        return {"status": self.status, "seconds": round(self.seconds, 4), "body": self.body}


def message_turn(
    text: str,
    *,
    service_url: str,
    app_id: str,
    conversation_id: str,
    user: str = USER,
    tenant_id: str = TENANT,
) -> dict[str, Any]:
    """A message of a user in the personal chat with the bot, as Teams sends it, with an id of its own."""
    return {
        "type": "message",
        "id": str(uuid.uuid4()),
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "channelId": "msteams",
        "serviceUrl": service_url,
        "text": text,
        "textFormat": "plain",
        "locale": "en-US",
        "from": {"id": user_id_of(user), "name": "Alex Wilber", "aadObjectId": user},
        "recipient": {"id": f"28:{app_id}", "name": "Afterword"},
        "conversation": {"id": conversation_id, "conversationType": "personal", "tenantId": tenant_id},
        "channelData": {"tenant": {"id": tenant_id}},
    }


async def deliver_turn(
    turn: dict[str, Any],
    *,
    to: str,
    token: str | None,
    session: aiohttp.ClientSession,
    deliveries: int = 1,
    apart_seconds: float = 0.0,
) -> list[TurnAnswer]:
    """Deliver one turn ``deliveries`` times: all at once, or so many seconds after each other's answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def once() -> TurnAnswer:
        began = time.monotonic()
        try:
            limit = aiohttp.ClientTimeout(total=TURN_SECONDS)
            async with session.post(to, json=turn, headers=headers, timeout=limit) as response:
                raw = await response.read()
                return TurnAnswer(
                    status=response.status, seconds=time.monotonic() - began, body=_json_or_text(raw)
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = type(error).__name__
            return TurnAnswer(status=None, seconds=time.monotonic() - began, body=reason)

    if not apart_seconds:
        return list(await asyncio.gather(*(once() for _ in range(deliveries))))
    answers = []
    for number in range(deliveries):
        if number:
            await asyncio.sleep(apart_seconds)
        answers.append(await once())
    return answers


def _json_or_text(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw.decode("utf-8", "replace")
