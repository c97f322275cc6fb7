"""The activity behind call_http: sends one request and gives its answer as JSON text."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from devhost.durable.http_call import CONTENT_HEADERS, HttpCall, HttpCallFailed, read_activity_input
from devhost.storable_text import storable

GetToken = Callable[[str], Awaitable[str]]
_SECONDS = 100.0  # how long .NET's client waits for an answer
_REDIRECTS = 50  # as .NET's client follows
# Known headers of answers, as .NET spells them however they came.
_KNOWN_HEADERS = (
    "Accept-Ranges",
    "Age",
    "Cache-Control",
    "Connection",
    "Date",
    "ETag",
    "Keep-Alive",
    "Location",
    "Pragma",
    "Proxy-Authenticate",
    "Retry-After",
    "Server",
    "Set-Cookie",
    "Strict-Transport-Security",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
    "Vary",
    "Via",
    "Warning",
    "WWW-Authenticate",
)
_SPELLINGS = {name.lower(): name for name in _KNOWN_HEADERS}


class HttpActivity:
    """Holds one pooled session for all requests, made when the first is sent."""

    def __init__(self, get_token: GetToken | None = None, *, seconds: float = _SECONDS) -> None:
        """`get_token` gives an access token for a resource; the default asks azure-identity."""
        self._get_token = get_token or managed_identity_token
        self._timeout = aiohttp.ClientTimeout(total=seconds)
        self._session: aiohttp.ClientSession | None = None

    async def run(self, input_text: str | None) -> str:
        """Send the request of an activity's input. Raises HttpCallFailed."""
        call = read_activity_input(input_text)
        headers = call.headers
        if call.resource is not None:
            headers = [*headers, ("Authorization", f"Bearer {await self._get_token(call.resource)}")]
        try:
            return await self._send(call, headers)
        except TimeoutError:
            raise HttpCallFailed(
                "The request was canceled due to the configured HttpClient.Timeout of "
                f"{self._timeout.total:g} seconds elapsing.",
                "System.Threading.Tasks.TaskCanceledException",
            ) from None
        except aiohttp.InvalidURL:
            raise HttpCallFailed("Invalid URI: The URI is malformed.", "System.UriFormatException") from None
        except aiohttp.ClientResponseError as error:  # its text has the URL, and a key in it
            raise HttpCallFailed(storable(error.message or type(error).__name__)) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise HttpCallFailed(storable(str(error) or type(error).__name__)) from None

    async def _send(self, call: HttpCall, headers: list[tuple[str, str]]) -> str:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout, auto_decompress=False)
        request = self._session.request(
            call.method,
            call.url,
            headers=headers,
            data=call.body,
            max_redirects=_REDIRECTS,
            skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
        )
        async with request as response:
            content = await response.text(errors="replace")
            answer = {"statusCode": response.status, "headers": _headers(response), "content": content}
            return json.dumps(answer, ensure_ascii=False)

    async def close(self) -> None:
        """End the session."""
        if self._session is not None:
            await self._session.close()


def _headers(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """Headers of an answer without those of its body; what came more than once is a list."""
    found: dict[str, Any] = {}
    for name in dict.fromkeys(_SPELLINGS.get(name.lower(), name) for name in response.headers):
        if name.lower() not in CONTENT_HEADERS:
            values = [storable(value) for value in response.headers.getall(name)]
            found[name] = values[0] if len(values) == 1 else values
    return found


async def managed_identity_token(resource: str) -> str:
    """An access token from whatever azure-identity finds here. Raises HttpCallFailed."""
    # Imported for the few apps that call with a token: it takes longer than all of this room.
    from azure.core.exceptions import AzureError  # noqa: PLC0415
    from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415

    try:
        async with DefaultAzureCredential() as credential:
            return (await credential.get_token(resource)).token
    except (AzureError, ValueError) as error:
        reason = f"There is no token for the resource '{resource}' here. {error}"
        raise HttpCallFailed(storable(reason), "Azure.Identity.AuthenticationFailedException") from None
