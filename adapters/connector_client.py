"""The Connector port: the Bot Connector REST API on one pooled aiohttp session."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from adapters.connector_answers import (
    TokenNotTaken,
    WrongHost,
    error_of,
    error_of_success,
    json_object,
    trace_of,
)
from adapters.response_body import read_body
from adapters.service_hosts import ServiceHosts
from agent.conversation import Place
from agent.ports import ChannelBusy, ChannelRefused, Created, DeliveryAmbiguous, Sent

log = logging.getLogger(__name__)

# Long enough for a slow channel, short enough for a turn that must be answered within 15 s.
SEND_TIMEOUT = aiohttp.ClientTimeout(total=8, connect=4)
KEEP_ALIVE_SECONDS = 60
MOST_CONNECTIONS = 200  # a Consumption plan instance may have 600 (Azure Functions documentation, limits)
UNREACHABLE = timedelta(seconds=5)
MEMBERS_A_PAGE, MOST_PAGES = 500, 200
MOST_REMEMBERED = 10_000
LARGEST_ANSWER = 4 * 1024 * 1024  # bytes; a page of 500 members has less than one


class Credentials(Protocol):
    """Where the connector client has its token from."""

    async def token(self) -> str | None:
        """A bearer token for the Bot Connector, or None where turns and sends are unsigned."""

    async def forget(self, token: str) -> None:
        """``token`` was not taken: fetch a fresh one when asked again."""


class Request(msgspec.Struct, frozen=True):
    """One request of the REST API. ``may_repeat``: made twice it does no more than made once."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    may_repeat: bool = True


class Answer(msgspec.Struct, frozen=True):
    """What the channel answered to a request that it took."""

    body: dict[str, Any]
    service_url: str
    trace: str


class BotConnectorClient:
    """Bot Connector REST API v3. One object a process: its connections are shared by all sends.

    ``other_service_urls``: by host, where a tenant is to be looked for that this host does not serve.
    """

    def __init__(
        self,
        credentials: Credentials,
        *,
        hosts: ServiceHosts,
        other_service_urls: Mapping[str, str] | None = None,
    ) -> None:
        self._credentials = credentials
        self._base_of = lru_cache(maxsize=MOST_REMEMBERED)(hosts.base_url)
        self._other_service_urls = other_service_urls or {}
        self._moved: dict[tuple[str, str], str] = {}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        request = Request("POST", _activity_path(at, reply_to_id), outgoing, may_repeat=False)
        answer = await self._call(request, at=at)
        return Sent(activity_id=_text(answer.body, "id"), service_url=answer.service_url, trace=answer.trace)

    async def update(self, outgoing: dict[str, Any], *, at: Place, activity_id: str) -> Sent:
        answer = await self._call(Request("PUT", _activity_path(at, activity_id), outgoing), at=at)
        return Sent(activity_id=activity_id, service_url=answer.service_url, trace=answer.trace)

    async def delete(self, *, at: Place, activity_id: str) -> None:
        await self._call(Request("DELETE", _activity_path(at, activity_id)), at=at)

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        at = Place(service_url=service_url, conversation_id="", tenant_id=tenant_id)
        brings_none = "activity" not in parameters
        request = Request("POST", "v3/conversations", parameters, may_repeat=brings_none)
        answer = await self._call(request, at=at)
        conversation_id = _text(answer.body, "id")
        if conversation_id is None:
            # Its activity has arrived, but whoever asks for more in the conversation has nowhere to send it.
            unknown = ChannelRefused if brings_none else DeliveryAmbiguous
            raise unknown("the channel created a conversation and told no id", trace=answer.trace)
        return Created(
            conversation_id=conversation_id,
            service_url=answer.service_url,
            activity_id=_text(answer.body, "activityId"),
            trace=answer.trace,
        )

    async def members(self, *, at: Place) -> list[dict[str, Any]]:
        path = f"v3/conversations/{_quoted(at.conversation_id)}/pagedmembers?pageSize={MEMBERS_A_PAGE}"
        found: list[dict[str, Any]] = []
        more = ""
        for _ in range(MOST_PAGES):
            page = (await self._call(Request("GET", path + more), at=at)).body
            listed = page.get("members")
            found.extend(listed if isinstance(listed, list) else [])
            following = _text(page, "continuationToken")
            if following is None:
                break
            more = f"&continuationToken={quote(following, safe='')}"
        return found

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _call(self, request: Request, *, at: Place) -> Answer:
        """Request; a host that does not serve the tenant is changed for the other one, and remembered."""
        who = (at.service_url, at.tenant_id or at.conversation_id)
        service_url = self._moved.get(who, at.service_url)
        try:
            return await self._authenticated(request, service_url)
        except WrongHost as error:
            elsewhere = self._other_service_urls.get(URL(service_url).host or "")
            if elsewhere is None:
                raise ChannelRefused(str(error), trace=error.trace) from None
        try:
            answer = await self._authenticated(request, elsewhere)
        except WrongHost as error:
            raise ChannelRefused(str(error), trace=error.trace) from None
        if len(self._moved) >= MOST_REMEMBERED:
            self._moved.clear()
        self._moved[who] = elsewhere
        return answer

    async def _authenticated(self, request: Request, service_url: str) -> Answer:
        """Request; a token that is not taken may have been withdrawn: it is fetched anew, once."""
        token = await self._credentials.token()
        try:
            return await self._request(request, service_url, token)
        except TokenNotTaken:
            await self._credentials.forget(token or "")
        token = await self._credentials.token()
        try:
            return await self._request(request, service_url, token)
        except TokenNotTaken as error:
            log.error("The channel does not take a fresh token of ours: %s %s", error, error.trace)
            raise ChannelRefused(str(error), trace=error.trace) from None

    async def _request(self, request: Request, service_url: str, token: str | None) -> Answer:
        url = URL(self._base_of(service_url) + request.path, encoded=True)
        headers = {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = msgspec.json.encode(request.body) if request.body is not None else None
        try:
            async with self._pool().request(
                request.method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                body = await _read(response, request)
                if response.status >= 300:
                    raise error_of(response.status, response.headers, body, may_repeat=request.may_repeat)
                if error := error_of_success(response.status, response.headers, body):
                    raise error
                return Answer(json_object(body), service_url, trace_of(response.headers))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Nothing was sent.
            raise ChannelBusy("the channel cannot be reached", retry_after=UNREACHABLE) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            if request.may_repeat:
                raise ChannelBusy("no answer from the channel", retry_after=UNREACHABLE) from error
            raise DeliveryAmbiguous("no answer from the channel") from error

    def _pool(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=SEND_TIMEOUT,
                connector=aiohttp.TCPConnector(limit=MOST_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, request: Request) -> bytes:
    """The body; an empty one where only the body is lost, for the status has told what became of it."""
    try:
        return await read_body(response, most_bytes=LARGEST_ANSWER)
    except (aiohttp.ClientError, TimeoutError):
        if request.may_repeat:
            raise
        return b""


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def _activity_path(at: Place, activity_id: str | None) -> str:
    path = f"v3/conversations/{_quoted(at.conversation_id)}/activities"
    return f"{path}/{_quoted(activity_id)}" if activity_id else path


def _quoted(part: str) -> str:
    """One part of a path; Teams' ids have ``:`` and ``@``, which may stand there as they are.

    Raises ChannelRefused for what would be a step in the path, and so another resource.
    """
    if part in (".", ".."):
        raise ChannelRefused("the id is none of the channel's")
    return quote(part, safe=":@")
