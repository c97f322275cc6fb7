"""The turn that every program is given: one message of one of some users, as Teams sends it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

from bench.load import NextRequest
from bench.who import AGENT_ID, SAID

# So many that no program has to wait for the limits of a conversation (7 messages a second, 60 in 30 s) or of
# a tenant (30 requests a second): what is measured is the program, not how it keeps to the channel's limits.
USERS, TENANTS = 10_000, 200
# Places held in the request, as long as what will stand there, so that Content-Length stays.
NUMBER, USER, TENANT, MOMENT = "1" * 12, "2" * 8, "3" * 8, "4444-44-44T44:44:44.444Z"
_numbers = count()  # no two turns of a run are the same


def message(service_url: str, text: str = SAID) -> dict[str, object]:
    """An incoming message with its places for numbers, and for the moment at which it is sent."""
    tenant_id = f"7d0c1b52-5f0e-4b5c-9a37-0000{TENANT}"
    return {
        "type": "message",
        "id": f"turn-{NUMBER}",
        "timestamp": MOMENT,  # a program may count its time from there
        "localTimestamp": "2026-11-01T11:00:00.000+01:00",
        "serviceUrl": service_url,
        "channelId": "msteams",
        "from": {
            "id": f"29:user-{USER}",
            "name": "A user",
            "aadObjectId": f"c2a5f1d4-83b7-4e6e-9f0d-0000{USER}",
        },
        "conversation": {
            "conversationType": "personal",
            "tenantId": tenant_id,
            "id": f"a:conversation-{USER}",
        },
        "recipient": {"id": AGENT_ID, "name": "Agent"},
        "textFormat": "plain",
        "locale": "en-US",
        "text": text,
        "entities": [{"locale": "en-US", "country": "US", "platform": "Web", "type": "clientInfo"}],
        "channelData": {"tenant": {"id": tenant_id}},
    }


def turns(*, port: int, service_url: str, token: str) -> NextRequest:
    """Whole HTTP requests; a turn that came before would not be taken again, so each is a new one."""
    next_turn = addressed_turns(port=port, service_url=service_url, token=token)
    return lambda: next_turn()[1]


def addressed_turns(
    *, port: int, service_url: str, token: str, text: str = SAID, tenants: int = TENANTS, users: int = USERS
) -> Callable[[], tuple[str, bytes]]:
    """The same, each with the id of the conversation that it comes from. No ``token``: it is not signed."""
    body = json.dumps(message(service_url, text)).encode()
    authorization = f"Authorization: Bearer {token}\r\n" if token else ""
    head = (
        f"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{authorization}"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    # The head is kept apart: a token may hold anything.
    template = body.replace(b"%", b"%%")
    places = (
        (NUMBER, b"%(number)012d"),
        (USER, b"%(user)08d"),
        (TENANT, b"%(tenant)08d"),
        (MOMENT, b"%(moment)b"),
    )
    for place, name in places:
        template = template.replace(place.encode(), name)

    def next_turn() -> tuple[str, bytes]:
        number = next(_numbers)
        user = number % users
        moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()
        written: bytes = template % {
            b"number": number,
            b"user": user,
            b"tenant": user % tenants,
            b"moment": moment,
        }
        return f"a:conversation-{user:08d}", head + written

    return next_turn
