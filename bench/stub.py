"""The other side of every program under test: Bot Connector, Entra, the issuer of the channel's tokens."""

import argparse
import asyncio
import json
import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from bench.http_messages import cut, wants_to_close
from bench.who import APP_ID, LOGIN, TENANT_ID

ISSUER = "https://api.botframework.com"
KEY_ID = "the-channels-key"
TOKEN_SECONDS = 24 * 3600
NOT_FOUND = (404, {"error": {"code": "NotFound", "message": "the stub has no such thing"}})


class Counts:
    """What arrived since the counts were last set back."""

    def __init__(self) -> None:
        self.activities = 0
        self.without_token = 0
        self.conversations = 0
        self.connections = 0
        self.token_calls = 0
        self.discoveries = 0
        self.key_calls = 0
        self.updates = 0
        self.first_activity_at = 0.0
        self.last_activity_at = 0.0

    def activity_arrived(self) -> None:
        self.last_activity_at = time.monotonic()
        self.first_activity_at = self.first_activity_at or self.last_activity_at
        self.activities += 1


class Stub:
    """Answers after ``delay`` seconds; nothing is checked, everything is counted."""

    def __init__(self, base_url: str) -> None:
        self.delay = 0.0
        self.counts = Counts()
        self._base_url = base_url
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._ids = 0
        # When (monotonic) each message arrived, and at which path; kept only where a bench asks for it.
        self._arrivals: list[tuple[float, str]] | None = None
        self._entra_token = self._signed({"iss": f"{LOGIN}/{TENANT_ID}/v2.0", "aud": ISSUER, "appid": APP_ID})

    def answer(self, method: str, target: str, content: bytes = b"") -> tuple[int, Any]:
        """The status and the body (an object for JSON, or bytes that are JSON already)."""
        path, _, query = target.partition("?")
        if path.startswith("/bench/"):
            return 200, self._control(path, parse_qs(query))
        if method == "POST":
            return self._posted(path, content)
        if method == "PUT" and "/activities/" in path:
            self.counts.updates += 1
            return 200, {"id": path.rpartition("/")[2]}
        return self._fetched(path)

    def _fetched(self, path: str) -> tuple[int, Any]:
        if path.endswith("/openid-configuration"):
            self.counts.discoveries += 1
            return 200, _entra_metadata(path)
        if path.endswith("/openidconfiguration"):
            self.counts.key_calls += 1
            keys_url = f"{self._base_url}/login.botframework.com/v1/.well-known/keys"
            return 200, {"issuer": ISSUER, "jwks_uri": keys_url}
        if path.endswith("/keys"):
            self.counts.key_calls += 1
            return 200, self._key_set()
        return NOT_FOUND

    def _posted(self, path: str, content: bytes) -> tuple[int, Any]:
        if "/activities" in path:
            self.counts.activity_arrived()
            if self._arrivals is not None and json.loads(content)["type"] == "message":  # typing says nothing
                self._arrivals.append((self.counts.last_activity_at, path))
            return 201, b'{"id":"%d"}' % self._next_id()
        if path.endswith("/v3/conversations"):
            self.counts.conversations += 1
            return 201, b'{"id":"a:created-%d"}' % self._next_id()
        if path.endswith("/token"):
            self.counts.token_calls += 1
            return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": self._entra_token}
        return NOT_FOUND

    def _control(self, path: str, query: dict[str, list[str]]) -> dict[str, Any]:
        if path == "/bench/reset":
            self.delay = float(query["delay"][0])
            self.counts = Counts()
            self._arrivals = [] if "arrivals" in query else None
        if path == "/bench/arrivals":
            return {"arrivals": self._arrivals}
        if path == "/bench/token":
            claims = {"iss": ISSUER, "aud": APP_ID, "serviceurl": query["service_url"][0]}
            return {"token": self._signed(claims)}
        return vars(self.counts)

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    def _key_set(self) -> dict[str, Any]:
        published = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**published, "kid": KEY_ID, "use": "sig", "endorsements": ["msteams"]}]}

    def _signed(self, claims: dict[str, Any]) -> str:
        now = int(time.time())
        claims = {**claims, "iat": now, "nbf": now, "exp": now + TOKEN_SECONDS}
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})


def _entra_metadata(path: str) -> dict[str, Any]:
    tenant = urlsplit(path).path.split("/")[2]
    return {
        "issuer": f"{LOGIN}/{tenant}/v2.0",
        "authorization_endpoint": f"{LOGIN}/{tenant}/oauth2/v2.0/authorize",
        "token_endpoint": f"{LOGIN}/{tenant}/oauth2/v2.0/token",
    }


class StubConnection(asyncio.Protocol):
    """One connection to the stub; requests come one after the other."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._received = b""
        self._is_counted = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (message := cut(self._received)) is not None:
            head, content, self._received = message
            self._take(head, content)

    def _take(self, head: bytes, received: bytes) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        is_control = target.startswith("/bench/")
        if not (is_control or self._is_counted):
            self._is_counted = True
            self._stub.counts.connections += 1
        if b"uthorization: Bearer " not in head:
            self._stub.counts.without_token += not is_control and "/activities" in target
        status, body = self._stub.answer(method, target, received)
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        response = b"HTTP/1.1 %d OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
            status,
            len(content),
            content,
        )
        delay = 0.0 if is_control else self._stub.delay
        if delay:
            asyncio.get_running_loop().call_later(delay, self._write, response, wants_to_close(head))
        else:
            self._write(response, wants_to_close(head))

    def _write(self, response: bytes, is_last: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(response)
        if is_last:
            self._transport.close()


async def serve(port: int) -> None:
    stub = Stub(f"http://127.0.0.1:{port}")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: StubConnection(stub), "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="bench.stub", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(serve(parser.parse_args().port))
