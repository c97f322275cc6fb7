"""The connector on HTTP: each request is kept, meets the faults that are scripted, and is answered."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import aiohttp
from aiohttp import web

from testconnector.answers import Answer, named_error
from testconnector.control import answer_control
from testconnector.entra import TokenEndpoint
from testconnector.faults import Faults, Rule
from testconnector.options import Options
from testconnector.recording import Call, Recording
from testconnector.rest_api import API, RestApi, body_of, operation_of, parts_of
from testconnector.signing import SigningKeys
from testconnector.turns import TENANT, USER, TurnAnswer, deliver_turn, message_turn

SHUTDOWN_SECONDS = 0.1  # what is held or slow is not waited for


class ScriptedConnector:
    """One connector: what it was sent, what it is to do, and what it signs.

    ``base_url``: where it listens; ``url``: its service URL.
    """

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.base_url = ""
        self.api = RestApi(self.options)
        self.faults = Faults(list(self.options.faults))
        self.recording = Recording(most=self.options.most_calls)
        self.keys = SigningKeys()
        self.key_fetches = 0
        self.tokens = TokenEndpoint(prefix=self.options.require_token or "test-token-")
        self._session: aiohttp.ClientSession | None = None
        self._answered = 0

    @property
    def url(self) -> str:
        return f"{self.base_url}/teams/"

    @property
    def metadata_url(self) -> str:
        return f"{self.base_url}/.well-known/openidconfiguration"

    @property
    def calls(self) -> list[Call]:
        return list(self.recording.calls)

    @property
    def texts(self) -> list[str]:
        """The texts of the messages that were accepted; of a card alone, what stands for it in a list."""
        return [
            call.body.get("text") or call.body.get("summary", "")
            for call in self.recording.calls
            if call.accepted and call.operation in ("send", "reply") and isinstance(call.body, dict)
        ]

    def report(self) -> dict[str, Any]:
        """What a test asks at its end: counts, the order, the busiest second."""
        recording = self.recording
        return {
            "calls": sum(recording.operations.values()),
            "accepted": recording.accepted,
            "statuses": dict(recording.statuses),
            "operations": dict(recording.operations),
            "peakArrivalsPerSecond": recording.peak_per_second,
            "order": self.api.order.report(),
            "refusedByRateLimit": self.api.limiter.refused if self.api.limiter else 0,
            "streams": [stream.shown() for stream in self.api.streams],
            "streamRefusals": dict(self.api.streams.refusals),
            "tokensAsked": self.tokens.asked,
            "keyFetches": self.key_fetches,
        }

    def forget_calls(self) -> None:
        """Begin the record and the report anew; conversations, streams and faults stay."""
        self.recording.clear()
        self.api.order.clear()
        self.api.streams.refusals.clear()
        self.key_fetches = self.tokens.asked = 0
        if self.api.limiter:
            self.api.limiter.refused = 0

    def channel_token(self, **claims: Any) -> str:
        """A token for a turn to our bot; ``claims`` win, and ``age_seconds`` makes it older."""
        return self.keys.channel_token(app_id=self.options.app_id, service_url=self.url, **claims)

    def turn(self, text: str, *, user: str = USER, tenant_id: str = TENANT) -> dict[str, Any]:
        """A message of ``user`` (an object id), in the personal chat that a creation would give for them."""
        parameters = {"members": [{"id": user}], "tenantId": tenant_id}
        _, conversation_id, _ = self.api.conversations.create(parameters)
        assert conversation_id
        return message_turn(
            text,
            service_url=self.url,
            app_id=self.options.app_id,
            conversation_id=conversation_id,
            user=user,
            tenant_id=tenant_id,
        )

    async def deliver(
        self,
        turn: dict[str, Any],
        *,
        to: str,
        token: str | None = None,
        deliveries: int = 1,
        apart_seconds: float = 0.0,
    ) -> list[TurnAnswer]:
        """Deliver a turn to a bot's endpoint, with a channel token if no other one is given."""
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return await deliver_turn(
            turn,
            to=to,
            token=self.channel_token(serviceurl=turn.get("serviceUrl")) if token is None else token,
            session=self._session,
            deliveries=deliveries,
            apart_seconds=apart_seconds,
        )

    async def close(self) -> None:
        self.faults.clear()
        if self._session:
            await self._session.close()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.raw_path
        if API in path and not path.startswith("/_"):
            return await self._handle_api(request, path)
        bare = path.partition("?")[0]
        raw = await request.read()
        if bare == "/.well-known/openidconfiguration":
            return web.json_response(self.keys.metadata(self.base_url))
        if bare == "/keys":
            self.key_fetches += 1
            return web.json_response(self.keys.key_set())
        answer = self.tokens.answer(request.method, bare, raw)
        if answer is None:
            answer = await answer_control(self, request.method, path, raw)
        return _response(answer)

    async def _handle_api(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        recording, headers = self.recording, request.headers
        call = recording.arrive(at=self.options.clock(), method=request.method, path=path)
        call.authorization, call.user_agent = headers.get("Authorization"), headers.get("User-Agent")
        parts = parts_of(path)
        call.operation = operation_of(call.method, parts)
        call.conversation_id = parts[0] if parts else ""
        answer: Answer | None = None
        try:
            answer = await self._answer(request, call, parts)
        finally:
            recording.ended(call, answer.status if answer else None)
            if not self.options.keep_bodies:
                call.body = None
        if answer is None:
            return _cut(request)
        self._answered += 1
        told = {"MS-CV": f"testconnector.{self._answered}"}
        if call.conversation_id:
            told["x-ms-conversation-id"] = _header_text(call.conversation_id)
        response = _response(answer, told)
        if call.fault is not None and call.cut_in_body:
            return await _cut_in_body(request, response)
        return response

    async def _answer(self, request: web.BaseRequest, call: Call, parts: list[str]) -> Answer | None:
        """The answer, or None where there is to be none."""
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            self.recording.understood(call)
            return named_error("MessageSizeTooBig")
        call.body = body_of(raw)
        self.recording.understood(call)
        rule = self.faults.firing(call)
        if rule is None:
            return self.api.answer(call, parts, raw)
        return await self._answer_faulty(rule, call, parts, raw)

    async def _answer_faulty(self, rule: Rule, call: Call, parts: list[str], raw: bytes) -> Answer | None:
        effect = rule.effect
        call.fault = rule.number
        await asyncio.sleep(effect.delay)
        if effect.hold == "before":
            await rule.removed.wait()
        if "before" in (effect.hold, effect.cut):
            return None
        own = effect.own_answer()
        if own is not None and not effect.accepted:
            await asyncio.sleep(effect.delay_after)
            return own
        usual = self.api.answer(call, parts, raw)
        await asyncio.sleep(effect.delay_after)
        if effect.hold == "after":
            await rule.removed.wait()
        if "after" in (effect.hold, effect.cut):
            return None
        call.cut_in_body = effect.cut == "mid-body"
        return own if own is not None and call.accepted else usual


def _response(answer: Answer, told: Mapping[str, str] = MappingProxyType({})) -> web.Response:
    headers = {**told, **answer.headers}
    if answer.body:
        headers.setdefault("Content-Type", answer.content_type)
    return web.Response(body=answer.body, status=answer.status, headers=headers)


def _header_text(text: str) -> str:
    return text if text.isascii() and text.isprintable() else quote(text, safe=":@;=")


def _cut(request: web.BaseRequest) -> web.Response:
    """Close the connection; what is returned then is not written any more."""
    if request.transport:
        request.transport.abort()
    return web.Response()


async def _cut_in_body(request: web.BaseRequest, whole: web.Response) -> web.StreamResponse:
    """Promise the whole body, write a half of it, and close the connection."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    half = web.StreamResponse(status=whole.status, headers=whole.headers)
    half.content_length = len(body) + 1
    await half.prepare(request)
    await half.write(body[: len(body) // 2])
    if request.transport:
        request.transport.close()
    return half


@asynccontextmanager
async def running(
    options: Options | None = None, *, address: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[ScriptedConnector]:
    """The connector, on a free port if none is given, for as long as the context lasts."""
    connector = ScriptedConnector(options)
    runner = web.ServerRunner(
        web.Server(connector.handle, access_log=None), shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port)
        await site.start()
        connector.base_url = f"http://{address}:{runner.addresses[0][1]}"
        yield connector
    finally:
        await connector.close()
        await runner.cleanup()
