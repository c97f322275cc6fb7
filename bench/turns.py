"""The turn that every program is given: one message of one of some users, as Teams sends it."""

import json
from itertools import count

from bench.load import NextRequest
from bench.who import AGENT_ID, SAID

# So many that no program has to wait for the limits of a conversation (7 messages a second, 60 in 30 s) or of
# a tenant (30 requests a second): what is measured is the program, not how it keeps to the channel's limits.
USERS, TENANTS = 10_000, 200
# Places held in the request, as long as what will stand there, so that Content-Length stays.
NUMBER, USER, TENANT = "1" * 12, "2" * 8, "3" * 8
_numbers = count()  # no two turns of a run are the same


def message(service_url: str) -> dict[str, object]:
    """An incoming message with its places for numbers."""
    tenant_id = f"7d0c1b52-5f0e-4b5c-9a37-0000{TENANT}"
    return {
        "type": "message",
        "id": f"turn-{NUMBER}",
        "timestamp": "2026-11-01T10:00:00.000Z",
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
        "text": SAID,
        "entities": [{"locale": "en-US", "country": "US", "platform": "Web", "type": "clientInfo"}],
        "channelData": {"tenant": {"id": tenant_id}},
    }


def turns(*, port: int, service_url: str, token: str) -> NextRequest:
    """Whole HTTP requests; a turn that came before would not be taken again, so each is a new one."""
    body = json.dumps(message(service_url)).encode()
    head = (
        f"POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    # The head is kept apart: a token may hold anything.
    template = body.replace(b"%", b"%%")
    for place, name in ((NUMBER, b"%(number)012d"), (USER, b"%(user)08d"), (TENANT, b"%(tenant)08d")):
        template = template.replace(place.encode(), name)

    def next_request() -> bytes:
        number = next(_numbers)
        user = number % USERS
        written: bytes = template % {b"number": number, b"user": user, b"tenant": user % TENANTS}
        return head + written

    return next_request
