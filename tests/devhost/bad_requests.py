"""Requests that nobody would send: drawn from dice, as the bytes that go over the wire."""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

_METHODS = [
    "GET",
    "POST",
    "PUT",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "get",
    "X",
]
_PLACES = [
    "/",
    "/api/hello",
    "/api/hello/{x}",
    "/api/echo",
    "/api/fails",
    "/api/nothing",
    "/api/answers",
    "/api/start/{x}",
    "/api/put-many",
    "/api/{x}",
    "/admin/host/ping",
    "/admin/host/status",
    "/admin/host/keys",
    "/admin/host/{x}",
    "/admin/functions",
    "/admin/functions/{x}",
    "/admin/functions/{x}/status",
    "/admin/functions/{x}/keys/{x}",
    "/devhost",
    "/devhost/{x}",
    "/devhost/api/overview",
    "/devhost/api/instances",
    "/devhost/api/instances/{x}",
    "/devhost/api/instances/{x}/terminate",
    "/devhost/api/instances/{x}/raiseEvent/{x}",
    "/devhost/api/entities",
    "/devhost/api/queues/{x}/poison",
    "/devhost/api/timers/{x}/fire",
    "{durable}/orchestrators/{x}",
    "{durable}/orchestrators/{x}/{x}",
    "{durable}/instances",
    "{durable}/instances/",
    "{durable}/instances/{x}",
    "{durable}/instances/{x}/{operation}",
    "{durable}/instances/{x}/raiseEvent/{x}",
    "{durable}/entities",
    "{durable}/entities/{x}",
    "{durable}/entities/{x}/{x}",
    "{durable}/{x}",
]
_DURABLE = ["/runtime/webhooks/durabletask", "/RUNTIME/WebHooks/DurableTask", "/durabletask"]
_OPERATIONS = ["terminate", "suspend", "resume", "rewind", "restart", "RESTART", "x"]
_TEXTS = [
    "",
    "i",
    "i",
    "chain",
    "hello",
    "work",
    "yearly",
    "counter",
    "@counter@k",
    ".",
    "..",
    "%",
    "%zz",
    "%00",
    "%2e%2e%2f",
    "%2F",
    "%5C",
    "%ff",
    "%ud800",
    "a b",
    "+",
    "ä",
    "\U0001f600",
    "'\"<>",
    "null",
    "1" * 300,
    "x" * 9000,
]
_PARAMETERS = [
    "taskHub",
    "connection",
    "showHistory",
    "showHistoryOutput",
    "showInput",
    "createdTimeFrom",
    "createdTimeTo",
    "runtimeStatus",
    "instanceIdPrefix",
    "top",
    "reason",
    "op",
    "fetchState",
    "restartWithNewInstanceId",
    "returnInternalServerErrorOnFailure",
    "lastOperationTimeFrom",
    "message",
    "status",
    "code",
    "id",
]
_VALUES = [
    *_TEXTS,
    "true",
    "-1",
    "0",
    "200",
    "999",
    "1e999",
    "nan",
    "9" * 400,
    "2026-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.9999999+14:00",
    "2026-13-45",
    "Running,Failed,x",
]
_HEADERS = [
    "Content-Type: application/json",
    "Content-Type: application/json; charset=utf-16",
    "Content-Type: application/json; charset=no-such",
    "Content-Type: ;;;",
    "Content-Encoding: gzip",
    "Expect: 100-continue",
    "Expect: x",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Content-Length: 5",
    "Content-Length: -5",
    "Content-Length: 99999999999999999999",
    "Upgrade: websocket",
    "Cookie: a=va{id]cookie;;",
    "Origin: null",
    "Origin: http://[",
    "Access-Control-Request-Method: GET",
    "Range: bytes=9-1",
    "Accept: \xff\xfe",
    "x-functions-key: \xe4",
    "x-ms-continuation-token: AAAA",
    "x-ms-continuation-token: no base64",
    "X-Devhost-Page: 1",
    "X-Devhost-Page: 1",
    "X-Test: y",
    "X-Forwarded-Proto: ,,",
    "No colon",
    ": no name",
    " folded: a",
    "X-Nul: \0",
    f"X-Large: {'y' * 40_000}",
]
_BODIES = [
    b"",
    b"null",
    b"{}",
    b"[]",
    b'"\\"text\\""',
    b'"{\\"a\\": 1}"',
    b'{"input": "x"}',
    b"{",
    b'"\\ud800"',
    b"\xff\xfe\x00",
    b"\xef\xbb\xbf{}",
    b"NaN",
    b"1e999",
    b"9" * 5000,
    b"[" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    json.dumps("x" * 100_000).encode(),
]


@dataclass(frozen=True)
class BadRequest:
    """``wire``: all bytes; ``path``: of its first line; ``is_http``: whether it must be answered."""

    wire: bytes
    path: str
    is_http: bool


def draw(dice: random.Random, names: Sequence[str]) -> BadRequest:
    """One request; ``names`` are those of functions, which are mixed into the paths."""
    path = _path(dice, names)
    method = dice.choice(_METHODS)
    body = dice.choice(_BODIES) if dice.random() < 0.6 else b""
    headers = [
        "Host: localhost",
        *dice.sample(_HEADERS, dice.choice([0, 0, 1, 1, 2, 4])),
        "Connection: close",
    ]
    is_http = not any(_is_broken(header) for header in headers) and method not in ("get", "CONNECT")
    if body or dice.random() < 0.5:
        headers.insert(1, f"Content-Length: {len(body)}")
    wire = f"{method} {path} HTTP/1.1\r\n".encode("latin-1", "replace")
    wire += "".join(f"{header}\r\n" for header in headers).encode("latin-1") + b"\r\n" + body
    is_http = is_http and len(path) < 8_000
    if dice.random() < 0.25:
        return BadRequest(_mutated(dice, wire), path, is_http=False)
    return BadRequest(wire, path, is_http)


def _is_broken(header: str) -> bool:
    """Whether the header makes the request one that HTTP does not know, or one that has no end."""
    ill = ("Transfer-Encoding", "Content-Length", "Expect", "Upgrade", "No colon", ": no", " folded", "X-Nul")
    return header.startswith(ill) or len(header) > 30_000 or not header.isascii()


def _path(dice: random.Random, names: Sequence[str]) -> str:
    path = dice.choice(_PLACES).replace("{durable}", dice.choice(_DURABLE))
    path = path.replace("{operation}", dice.choice(_OPERATIONS))
    while "{x}" in path:
        text = dice.choice([*_TEXTS, *names])
        path = path.replace(
            "{x}", text if dice.random() < 0.3 and text.isascii() else quote(text, safe="%"), 1
        )
    path = path.replace(" ", "%20")
    pairs = [
        f"{dice.choice(_PARAMETERS)}={quote(dice.choice(_VALUES), safe='%,:')}"
        for _ in range(dice.choice([0, 0, 1, 2, 4]))
    ]
    return f"{path}?{'&'.join(pairs)}" if pairs else path


def _mutated(dice: random.Random, wire: bytes) -> bytes:
    """Half of it, some bytes changed, some twice, or nothing of HTTP at all."""
    at = dice.randrange(1, min(len(wire), 400))
    ways: list[Callable[[], bytes]] = [
        lambda: wire[:at],
        lambda: wire[:at] + bytes([dice.randrange(256)]) + wire[at + 1 :],
        lambda: wire[:at] + wire[at // 2 : at] + wire[at:],
        lambda: wire.replace(b"\r\n", b"\n"),
        lambda: dice.randbytes(at),
        lambda: b"\x16\x03\x01" + dice.randbytes(at),
        lambda: wire.replace(b"HTTP/1.1", dice.choice([b"HTTP/9.9", b"HTTP/1.0", b"HTTP/2.0", b"", b"http"])),
    ]
    return dice.choice(ways)()
