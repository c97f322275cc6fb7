"""The ProactiveQueue port on Azure Queue Storage."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from math import ceil
from typing import Any, Self

from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.storage.queue.aio import QueueServiceClient

from adapters.storage_account import StorageAccount
from adapters.storage_http import StorageError
from adapters.storage_signing import Tokens

# Of the service, not of the SDK: older than the newest, so that sovereign clouds and Azurite know it.
QUEUE_API_VERSION = "2025-05-05"
# Two more tries within seconds; by itself the SDK waits for a quarter of a minute before its first.
RETRIES: dict[str, Any] = {
    "retry_total": 2,
    "initial_backoff": 1,
    "increment_base": 2,
    "random_jitter_range": 1,
    "connection_timeout": 2,
    "read_timeout": 5,
}
NOT_IN_XML = re.compile("[\ufffe\uffff]")  # of what JSON text may hold unescaped


def queue_service(account: StorageAccount) -> QueueServiceClient:
    """The account's queues."""
    if account.connection_string:
        return QueueServiceClient.from_connection_string(
            account.connection_string, api_version=QUEUE_API_VERSION, **RETRIES
        )
    assert isinstance(account.authorization, Tokens)
    return QueueServiceClient(
        account.queue_url,
        credential=_Credential(account.authorization),
        api_version=QUEUE_API_VERSION,
        **RETRIES,
    )


@contextmanager
def storage_errors() -> Iterator[None]:
    """The SDK's errors become StorageError. Nothing of them is kept: they may quote the URL, which may hold
    a signature."""
    try:
        yield
    except AzureError as error:
        raise StorageError(getattr(error, "status_code", None), type(error).__name__) from None


class _Credential:
    """Our tokens, as the SDK asks for them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        # Of no lifetime, so that we are asked each time: we keep it.
        return AccessToken(await self._tokens.token(), int(time.time()))

    async def close(self) -> None:
        return

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        return


def storable(body: bytes) -> str:
    """The JSON without what XML cannot carry, as its escapes: the service takes messages in XML."""
    return NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", body.decode())


class StorageQueue:
    """One queue. Bodies are put on it as they are, as host.json says (messageEncoding none)."""

    def __init__(self, account: StorageAccount, queue_name: str) -> None:
        self._service = queue_service(account)
        self._client = self._service.get_queue_client(queue_name)

    async def put(self, body: bytes, *, delay: timedelta) -> None:
        with storage_errors():
            try:
                await self._send(body, delay)
            except ResourceNotFoundError:  # taken away while we ran
                await self._client.create_queue()
                await self._send(body, delay)

    async def _send(self, body: bytes, delay: timedelta) -> None:
        # For as long as it takes: by default the service drops a message after seven days, shown or not.
        await self._client.send_message(
            storable(body), visibility_timeout=ceil(delay.total_seconds()), time_to_live=-1
        )

    async def close(self) -> None:
        await self._client.close()
        await self._service.close()
