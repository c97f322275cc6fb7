"""One table of the storage account, by the Table service's REST API.

A write whose answer got lost is made again, and then meets itself: as a row that exists already, or that
changed. So each write carries a random mark, by which it is known when the row is read back.
"""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from adapters.storage_http import StorageAnswer, StorageHttp
from adapters.table_values import MARK, PARTITION_KEY, ROW_KEY, Row, decoded, encoded, row_path

ROW = "row"  # the row key of tables that have one row a partition
ANY = "*"
JSON = {"Content-Type": "application/json"}
NO_CONTENT = {**JSON, "Prefer": "return-no-content"}
# Header of a page that is not the last, and the query parameter that asks for the next.
CONTINUATION = {
    "x-ms-continuation-NextPartitionKey": "NextPartitionKey",
    "x-ms-continuation-NextRowKey": "NextRowKey",
}


class RowExists(Exception):
    """There is a row with these keys."""


class RowMissing(Exception):
    """There is no row with these keys."""


class RowChanged(Exception):
    """The row is not the one any more that was read."""


class _Page(msgspec.Struct):
    value: list[dict[str, Any]]


class TableClient:
    """All operations raise StorageError for what nobody expects. Writes return the row's new etag."""

    def __init__(self, http: StorageHttp, table_name: str) -> None:
        self._http = http
        self._table_name = table_name

    async def make(self) -> None:
        """Make the table, if it is missing."""
        body = msgspec.json.encode({"TableName": self._table_name})
        answer = await self._http.call("POST", "/Tables", headers=NO_CONTENT, body=body)
        if answer.status >= 300:
            error = answer.error()
            if error.code != "TableAlreadyExists":
                raise error

    async def insert(self, partition_key: str, columns: Mapping[str, Any], *, row_key: str = ROW) -> str:
        """Write a new row. Raises RowExists."""
        body, mark = _body(partition_key, row_key, columns)
        answer = await self._call("POST", f"/{self._table_name}", headers=NO_CONTENT, body=body)
        if answer.status == 409:
            return await self._own(answer, partition_key, row_key, mark, RowExists())
        return _etag(answer)

    async def get(self, partition_key: str, *, row_key: str = ROW, select: Sequence[str] = ()) -> Row | None:
        path = row_path(self._table_name, partition_key, row_key)
        answer = await self._call("GET", path, query=_select(select))
        if answer.status == 404:
            return None
        if answer.status >= 300:
            raise answer.error()
        row = decoded(answer.decoded(dict[str, Any]))
        return msgspec.structs.replace(row, etag=answer.headers.get("ETag", ""))

    async def replace(
        self, partition_key: str, columns: Mapping[str, Any], *, row_key: str = ROW, etag: str = ANY
    ) -> str:
        """Write over the row. Raises RowMissing, and RowChanged when it is not of this ``etag``."""
        return await self._update("PUT", partition_key, row_key, columns, etag)

    async def merge(
        self, partition_key: str, columns: Mapping[str, Any], *, row_key: str = ROW, etag: str = ANY
    ) -> str:
        """Write over these columns of the row. Raises as ``replace`` does."""
        return await self._update("PATCH", partition_key, row_key, columns, etag)

    async def upsert(self, partition_key: str, columns: Mapping[str, Any], *, row_key: str = ROW) -> str:
        """Write the row, whether there is one or not."""
        return await self._update("PUT", partition_key, row_key, columns, None)

    async def delete(self, partition_key: str, *, row_key: str = ROW, etag: str = ANY) -> None:
        """Delete the row, if there is one. Raises RowChanged when it is not of this ``etag``."""
        path = row_path(self._table_name, partition_key, row_key)
        answer = await self._call("DELETE", path, headers={"If-Match": etag})
        if answer.status == 412:
            raise RowChanged
        if answer.status >= 300 and answer.status != 404:
            raise answer.error()

    async def pages(self, which: str = "", *, select: Sequence[str] = ()) -> AsyncIterator[list[Row]]:
        """The rows that match the filter ``which``, as they come: at most 1000 at once, perhaps none."""
        asked = [f"$filter={quote(which, safe='')}" if which else "", _select(select)]
        following: list[str] = []
        while True:
            query = "&".join(filter(None, asked + following))
            answer = await self._call("GET", f"/{self._table_name}()", query=query)
            if answer.status >= 300:
                raise answer.error()
            yield [decoded(row) for row in answer.decoded(_Page).value]
            following = [
                f"{parameter}={quote(answer.headers[header], safe='')}"
                for header, parameter in CONTINUATION.items()
                if answer.headers.get(header)
            ]
            if not following:
                return

    async def _update(
        self, method: str, partition_key: str, row_key: str, columns: Mapping[str, Any], etag: str | None
    ) -> str:
        body, mark = _body(partition_key, row_key, columns)
        answer = await self._call(
            method,
            row_path(self._table_name, partition_key, row_key),
            headers=JSON if etag is None else {**JSON, "If-Match": etag},
            body=body,
        )
        if answer.status == 404:
            raise RowMissing
        if answer.status == 412:
            return await self._own(answer, partition_key, row_key, mark, RowChanged())
        return _etag(answer)

    async def _own(
        self, answer: StorageAnswer, partition_key: str, row_key: str, mark: str, refusal: Exception
    ) -> str:
        """The etag, where what stands in the way is this very write; the refusal is raised otherwise."""
        if answer.is_repeated:
            row = await self.get(partition_key, row_key=row_key, select=(PARTITION_KEY, MARK))
            if row and row.mark == mark:
                return row.etag
        raise refusal

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> StorageAnswer:
        answer = await self._http.call(method, path, query=query, headers=headers, body=body)
        if answer.status == 404 and answer.error().code == "TableNotFound":  # taken away while we ran
            await self.make()
            answer = await self._http.call(method, path, query=query, headers=headers, body=body)
        return answer


def _body(partition_key: str, row_key: str, columns: Mapping[str, Any]) -> tuple[bytes, str]:
    mark = secrets.token_hex(8)
    return encoded({PARTITION_KEY: partition_key, ROW_KEY: row_key, **columns, MARK: mark}), mark


def _etag(answer: StorageAnswer) -> str:
    if answer.status >= 300:
        raise answer.error()
    return answer.headers.get("ETag", "")


def _select(columns: Sequence[str]) -> str:
    return f"$select={','.join(columns)}" if columns else ""
