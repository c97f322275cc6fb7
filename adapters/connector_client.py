"""The Connector port: the Bot Connector REST API on one pooled aiohttp session."""

import json
import logging
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import quote

import aiohttp
from yarl import URL

from adapters.service_hosts import ServiceHosts
from agent.ports import (
    ChannelBusy,
    ChannelRefused,
    ConversationGone,
    ConversationNotFound,
    DeliveryAmbiguous,
)

log = logging.getLogger(__name__)

# Long enough for a slow channel, short enough for a turn that must be answered within 15 s.
SEND_TIMEOUT = aiohttp.ClientTimeout(total=8, connect=4)
DEFAULT_RETRY_AFTER = timedelta(seconds=5)

# Error codes after which nothing gets through until the user is heard again (Teams documentation,
# "Send proactive messages", section "Status code responses").
GONE_CODES = frozenset(
    {
        "BotDisabledByAdmin",
        "BotNotInConversationRoster",
        "ConversationBlockedByUser",
        "ForbiddenOperationException",
        "MessageWritesBlocked",
    }
)


class Credentials(Protocol):
    """Where the connector client has its token from."""

    async def token(self) -> str | None:
        """A bearer token for the Bot Connector, or None where turns and sends are unsigned."""

    async def forget(self) -> None:
        """The token was not taken: fetch a fresh one when asked again."""


class BotConnectorClient:
    """Bot Connector REST API v3. One object a process: its connections are shared by all sends."""

    def __init__(self, credentials: Credentials, *, hosts: ServiceHosts) -> None:
        self._credentials = credentials
        self._hosts = hosts
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self,
        outgoing: dict[str, Any],
        *,
        service_url: str,
        conversation_id: str,
        reply_to_id: str | None = None,
    ) -> str | None:
        url = f"{_conversation_url(service_url, conversation_id)}/activities"
        if reply_to_id:
            url += f"/{quote(reply_to_id, safe='')}"
        created = await self._call("POST", url, outgoing)
        return created.get("id") or None

    async def update(
        self, outgoing: dict[str, Any], *, service_url: str, conversation_id: str, activity_id: str
    ) -> None:
        url = f"{_conversation_url(service_url, conversation_id)}/activities/{quote(activity_id, safe='')}"
        await self._call("PUT", url, outgoing)

    async def delete(self, *, service_url: str, conversation_id: str, activity_id: str) -> None:
        url = f"{_conversation_url(service_url, conversation_id)}/activities/{quote(activity_id, safe='')}"
        await self._call("DELETE", url, None)

    async def create_conversation(self, parameters: dict[str, Any], *, service_url: str) -> str:
        created = await self._call("POST", f"{service_url.rstrip('/')}/v3/conversations", parameters)
        conversation_id = created.get("id")
        if not isinstance(conversation_id, str) or not conversation_id:
            raise ChannelRefused("the channel created a conversation and told no id")
        return conversation_id

    async def close(self) -> None:
        if self._session:
            await self._session.close()

    async def _call(self, method: str, url: str, body: dict[str, Any] | None) -> dict[str, Any]:
        checked_url = self._hosts.checked(url)
        try:
            return await self._request(method, checked_url, body)
        except _NotAuthenticated:
            # The token may have been withdrawn: a fresh one, once.
            await self._credentials.forget()
        try:
            return await self._request(method, checked_url, body)
        except _NotAuthenticated as error:
            log.error("The channel does not take a fresh token of ours: %s", error)
            raise ChannelRefused(str(error)) from None

    async def _request(self, method: str, url: URL, body: dict[str, Any] | None) -> dict[str, Any]:
        headers = {"Accept": "application/json"}
        token = await self._credentials.token()
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=SEND_TIMEOUT)
        try:
            async with self._session.request(
                method, url, json=body, headers=headers, allow_redirects=False
            ) as response:
                answer = await response.read()
                if response.status >= 300:
                    raise _error_of(response, answer)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            # Nothing was sent.
            raise ChannelBusy("the channel cannot be reached", retry_after=DEFAULT_RETRY_AFTER) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DeliveryAmbiguous("no answer from the channel") from error
        return _json_object(answer)


class _NotAuthenticated(Exception):
    """The channel answered 401."""


def _conversation_url(service_url: str, conversation_id: str) -> str:
    return f"{service_url.rstrip('/')}/v3/conversations/{quote(conversation_id, safe='')}"


def _error_of(response: aiohttp.ClientResponse, answer: bytes) -> Exception:
    """What an answer other than success means for the caller."""
    code = _error_code(answer)
    said = f"the channel answered {response.status} {code}".strip()
    if response.status == 401:
        return _NotAuthenticated(said)
    if response.status == 404 and code == "ConversationNotFound":
        return ConversationNotFound(said)
    if response.status in (403, 404) and code in GONE_CODES:
        return ConversationGone(said)
    if response.status in (412, 429):
        return ChannelBusy(said, retry_after=_retry_after(response))
    if response.status >= 500:
        return DeliveryAmbiguous(said)
    return ChannelRefused(said)


def _error_code(answer: bytes) -> str:
    """The ``error.code`` of the body; Teams nests the true one as JSON text in ``error.message``."""
    error = _json_object(answer).get("error")
    if not isinstance(error, dict):
        return ""
    code, message = error.get("code"), error.get("message")
    if isinstance(message, str) and message.startswith("{"):
        nested = _json_object(message.encode())
        code = nested.get("subCode") or nested.get("code") or nested.get("errorCode") or code
        if code == 209:  # Teams' number for MessageWritesBlocked
            code = "MessageWritesBlocked"
    return str(code or "")[:64]


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _retry_after(response: aiohttp.ClientResponse) -> timedelta:
    """The header Retry-After (RFC 9110, section 10.2.3): seconds, or a date."""
    given = response.headers.get("Retry-After", "")
    try:
        wait = timedelta(seconds=float(given))
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(given) - datetime.now(UTC)
        except (ValueError, TypeError):
            return DEFAULT_RETRY_AFTER
    return max(wait, timedelta(0))
