"""Requests to Azure Storage: one pooled session, few retries, one deadline over them all."""

import asyncio
import random
from collections.abc import Mapping
from typing import TypeVar

import aiohttp
import msgspec
from yarl import URL

from adapters.response_body import read_body
from adapters.storage_account import StorageAccount

# Of the service: old enough for Azurite and for sovereign clouds.
TABLE_API_VERSION = "2020-12-06"
# All tries of one call and the pauses between them: a turn, which is ended after 9 s, can still say so.
CALL_LASTS_SECONDS = 6.0
# The service itself ends a query after 5 s. Azure documentation, "Query timeout and pagination".
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=5)
LARGEST_ANSWER = 64 * 1024 * 1024  # bytes; a page of rows has 1000, and of ours hardly one has 64 KiB
KEEPALIVE_SECONDS = 60
RETRIES = 3
FIRST_BACKOFF_SECONDS = 0.2
RETRIED = frozenset({408, 429, 500, 502, 503, 504})
HEADERS = {
    "Accept": "application/json;odata=minimalmetadata",
    "DataServiceVersion": "3.0",
    "MaxDataServiceVersion": "3.0",
    "x-ms-version": TABLE_API_VERSION,
}

T = TypeVar("T")


class StorageError(Exception):
    """The storage account did not do what it should. Tells status and code, never keys and values."""

    def __init__(self, status: int | None, code: str) -> None:
        super().__init__(f"the storage account answered {status} {code}" if status else code)
        self.status = status
        self.code = code


class StorageAnswer(msgspec.Struct, frozen=True):
    """``is_repeated``: the request may have been taken before, by an attempt that got no answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_repeated: bool

    def decoded(self, kind: type[T]) -> T:
        """The body, which is JSON of this kind. Raises StorageError."""
        try:
            return msgspec.json.decode(self.body, type=kind)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            raise StorageError(self.status, "and not with what was asked for") from None

    def error(self) -> StorageError:
        try:
            told = self.decoded(_Refusal).error.code
        except StorageError:
            told = self.headers.get("x-ms-error-code", "")
        return StorageError(self.status, told[:64])


class _Refusal(msgspec.Struct):
    class Error(msgspec.Struct):
        code: str = ""

    error: Error = msgspec.field(name="odata.error")


class StorageHttp:
    """One object a process: its connections are shared by all tables."""

    def __init__(self, account: StorageAccount) -> None:
        self._authorization = account.authorization
        self._url = account.table_url
        self._signed_prefix = URL(account.table_url).raw_path.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> StorageAnswer:
        """The answer, whatever it is, after retries. ``path`` and ``query`` are encoded already.

        It lasts CALL_LASTS_SECONDS at most: all tries, the pauses between them and the token for them; a
        try that is under way then is cut off. An operation on a table may be more than one call.
        Raises StorageError where none came, or none but that the service is busy or broken.
        """
        try:
            async with asyncio.timeout(CALL_LASTS_SECONDS):
                return await self._tries(method, path, query=query, headers=headers or {}, body=body)
        except TimeoutError as error:
            raise StorageError(None, "the storage account does not answer in time") from error

    async def _tries(
        self, method: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes | None
    ) -> StorageAnswer:
        query = "&".join(filter(None, (query, self._authorization.query)))
        url = URL(f"{self._url}{path}?{query}" if query else f"{self._url}{path}", encoded=True)
        for attempt in range(RETRIES + 1):
            if attempt:
                backoff = FIRST_BACKOFF_SECONDS * 2 ** (attempt - 1)
                await asyncio.sleep(backoff * random.uniform(0.5, 1))  # noqa: S311  # no secret
            # Signed anew each time: the date is part of it.
            signed = await self._authorization.headers(self._signed_prefix + path)
            try:
                answer = await self._once(method, url, {**HEADERS, **headers, **signed}, body)
            except (aiohttp.ClientError, TimeoutError) as error:
                if attempt == RETRIES:
                    # Nothing of the cause is kept: it may quote the URL, which may hold a signature.
                    kind = type(error).__name__
                    raise StorageError(None, f"the storage account does not answer: {kind}") from None
                continue
            if answer.status not in RETRIED:
                # aiohttp itself repeats a PUT that met a connection which was just closed.
                return msgspec.structs.replace(answer, is_repeated=attempt > 0 or method == "PUT")
        raise answer.error()

    async def _once(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> StorageAnswer:
        session = await self._open_session()
        async with session.request(
            method, url, headers=headers, data=body, allow_redirects=False
        ) as response:
            read = await read_body(response, most_bytes=LARGEST_ANSWER)
            return StorageAnswer(response.status, response.headers, read, False)

    async def _open_session(self) -> aiohttp.ClientSession:
        """The session of the running loop: connections are of no use on another."""
        loop = asyncio.get_running_loop()
        if self._session is None or self._loop is not loop or self._session.closed:
            if self._loop and self._loop.is_closed():
                await self.close()
            self._loop = loop
            self._session = aiohttp.ClientSession(
                timeout=TIMEOUT,
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEPALIVE_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        if self._session:
            await self._session.close()
