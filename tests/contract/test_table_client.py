"""The table client on Azurite, also behind a network that loses answers."""

import asyncio
import base64
import hashlib
import hmac
import traceback
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import aiohttp
import pytest
from aiohttp import web
from yarl import URL

from adapters import storage_http
from adapters.storage_account import EMULATED_ACCOUNT, EMULATED_KEY, StorageAccount, account_of
from adapters.storage_http import CALL_LASTS_SECONDS, RETRIES, StorageError, StorageHttp
from adapters.storage_signing import Sas, SharedKey
from adapters.table_client import RowChanged, RowExists, RowMissing, TableClient
from adapters.table_values import literal
from adapters.tables import Tables
from agent.turn_claim import CLAIM_HOLDS
from local.azurite import Azurite

NOON = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)


def a_name() -> str:
    return uuid4().hex


@pytest.fixture
async def table(tables: Tables) -> TableClient:
    return await tables.table("clienttests")


async def test_a_row_is_read_as_it_was_written_whatever_its_types(table: TableClient) -> None:
    columns = {
        "text": "ä ☃ 'quoted' \"twice\" \\",
        "empty": "",
        "flag": True,
        "small": -1,
        "large": 2**40,
        "double": 1.0,
        "instant": NOON,
        "bytes": bytes(range(256)),
        "guid": UUID(int=7),
    }
    key = a_name()
    etag = await table.insert(key, columns | {"nothing": None})
    row = await table.get(key)
    assert row is not None
    assert row.columns == columns | {"PartitionKey": key, "RowKey": "row"}
    assert {type(row.columns[name]) for name in ("double", "large")} == {float, int}
    assert row.etag == etag


@pytest.mark.parametrize("sign", ["'", "''", " ", "ä", "☃", "%", "%27", "&", "+", "=", ",", ")", "@", ":"])
async def test_a_key_may_hold_any_sign_that_the_service_allows(table: TableClient, sign: str) -> None:
    key, row_key = f"{a_name()}{sign}x", f"{sign}row"
    await table.insert(key, {"n": 1}, row_key=row_key)
    await table.merge(key, {"m": 2}, row_key=row_key)
    row = await table.get(key, row_key=row_key)
    assert row is not None
    assert row.columns == {"PartitionKey": key, "RowKey": row_key, "n": 1, "m": 2}
    found = [row async for page in table.pages(f"PartitionKey eq {literal(key)}") for row in page]
    assert [row.columns["RowKey"] for row in found] == [row_key]
    await table.delete(key, row_key=row_key)
    assert await table.get(key, row_key=row_key) is None


async def test_a_key_that_the_service_does_not_allow_is_an_error_that_does_not_tell_it(
    table: TableClient,
) -> None:
    with pytest.raises(StorageError) as refused:
        await table.insert("x" * 2000, {"n": "hidden"})
    assert refused.value.status == 400
    assert refused.value.code
    assert "hidden" not in str(refused.value)
    assert "xx" not in str(refused.value)


async def test_what_is_there_is_told_from_what_is_not(table: TableClient) -> None:
    key = a_name()
    with pytest.raises(RowMissing):
        await table.replace(key, {"n": 1})
    with pytest.raises(RowMissing):
        await table.merge(key, {"n": 1}, etag='W/"x"')
    await table.delete(key)
    await table.insert(key, {"n": 1})
    with pytest.raises(RowExists):
        await table.insert(key, {"n": 2})


async def test_a_replaced_row_loses_the_other_columns_and_a_merged_one_keeps_them(table: TableClient) -> None:
    key = a_name()
    await table.upsert(key, {"a": 1, "b": 1})
    await table.merge(key, {"a": 2})
    row = await table.get(key, select=["a", "b"])
    assert row is not None
    assert row.columns == {"a": 2, "b": 1}
    await table.replace(key, {"b": 3})
    row = await table.get(key)
    assert row is not None
    assert row.columns.keys() == {"PartitionKey", "RowKey", "b"}


@pytest.mark.parametrize("method", ["replace", "merge"])
async def test_a_row_is_not_written_over_by_who_knows_no_etag(table: TableClient, method: str) -> None:
    key = a_name()
    await table.insert(key, {"n": 1})
    with pytest.raises((RowChanged, StorageError)):
        await getattr(table, method)(key, {"n": 2}, etag="")
    row = await table.get(key)
    assert row is not None
    assert row.columns["n"] == 1


async def test_of_many_at_once_one_changes_the_row(table: TableClient) -> None:
    key = a_name()
    etag = await table.insert(key, {"n": 0})
    ends = await asyncio.gather(
        *(table.replace(key, {"n": n}, etag=etag) for n in range(4)),
        *(table.merge(key, {"n": n}, etag=etag) for n in range(4, 8)),
        return_exceptions=True,
    )
    assert sorted(type(end).__name__ for end in ends) == ["RowChanged"] * 7 + ["str"]
    (won,) = [n for n, end in enumerate(ends) if isinstance(end, str)]
    row = await table.get(key)
    assert row is not None
    assert (row.columns["n"], row.etag) == (won, ends[won])
    with pytest.raises(RowChanged):
        await table.delete(key, etag=etag)
    await table.delete(key, etag=row.etag)


async def test_a_query_goes_on_where_a_page_ended(tables: Tables) -> None:
    table, partition = await tables.table("manyrows"), f"{a_name()} ä'"
    for start in range(0, 1200, 50):
        some = range(start, start + 50)
        await asyncio.gather(*(table.insert(partition, {"n": n}, row_key=f"{n:05} ä'") for n in some))
    pages = [page async for page in table.pages(f"PartitionKey eq {literal(partition)}", select=["n"])]
    assert [len(page) for page in pages] == [1000, 200]
    assert [row.columns["n"] for page in pages for row in page] == list(range(1200))
    none = [page async for page in table.pages(f"PartitionKey eq {literal(partition)} and n gt 5000")]
    assert [row for page in none for row in page] == []


async def test_a_table_that_is_taken_away_is_made_again(azurite: Azurite, tables: Tables) -> None:
    table = await tables.table("takenaway")
    await table.insert("p", {"n": 1})
    http = StorageHttp(account_of(azurite.connection_string))
    assert (await http.call("DELETE", "/Tables('takenaway')")).status == 204
    await http.close()
    assert await table.get("p") is None
    await table.insert("p", {"n": 2})
    row = await table.get("p")
    assert row is not None
    assert row.columns["n"] == 2


async def test_a_wrong_key_is_an_error_with_its_code(azurite: Azurite) -> None:
    account = account_of(azurite.connection_string)
    wrong = Tables(replace(account, authorization=SharedKey(EMULATED_ACCOUNT, "d3Jvbmc=")))
    with pytest.raises(StorageError) as refused:
        await wrong.table("clienttests")
    assert refused.value.status == 403
    await wrong.close()


def account_sas() -> str:
    """A shared access signature for all that tables can do. REST documentation, "Create an account SAS"."""
    until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {
        "sp": "rwdlacup",
        "ss": "t",
        "srt": "sco",
        "st": "",
        "se": until,
        "sip": "",
        "spr": "https,http",
    }
    fields["sv"] = "2020-12-06"
    signed = "\n".join([EMULATED_ACCOUNT, *fields.values(), "", ""])
    digest = hmac.digest(base64.b64decode(EMULATED_KEY), signed.encode(), hashlib.sha256)
    given = {name: value for name, value in fields.items() if value}
    return urlencode(given | {"sig": base64.b64encode(digest).decode()})


async def test_a_shared_access_signature_opens_the_tables(azurite: Azurite) -> None:
    url = account_of(azurite.connection_string).table_url
    tables = Tables(account_of(f"TableEndpoint={url};SharedAccessSignature={account_sas()}"))
    table, key = await tables.table("clienttests"), a_name()
    await table.insert(key, {"n": 1})
    assert [
        row.columns["n"] async for page in table.pages(f"PartitionKey eq {literal(key)}") for row in page
    ] == [1]
    await tables.close()


def test_a_client_is_used_on_one_loop_after_another(azurite: Azurite) -> None:
    tables, key = Tables(account_of(azurite.connection_string)), a_name()

    async def write(n: int) -> None:
        await (await tables.table("clienttests")).upsert(key, {"n": n})

    with asyncio.Runner() as first:
        first.run(write(1))
        first.run(tables.close())
    with asyncio.Runner() as second:
        second.run(write(2))
        second.run(tables.close())


class LossyNetwork:
    """Stands before Azurite. ``faults``, one a request in their order: "lost" forwards the request and cuts
    the answer off, "cut" forwards nothing, "silent" answers nothing until ``end``, a number is answered by
    the network itself."""

    def __init__(self, behind: str) -> None:
        self.faults: deque[str] = deque()
        self.methods: list[str] = []
        self.end = asyncio.Event()
        self.meanwhile: Any = None
        self.url = ""
        self._behind = URL(behind).origin()

    async def pass_on(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.popleft() if self.faults else ""
        self.methods.append(request.method)
        if fault.isdigit():
            return web.json_response({"odata.error": {"code": "ServerBusy"}}, status=int(fault))
        if fault == "silent":
            await self.end.wait()
        headers = {name: value for name, value in request.headers.items() if name != "Host"}
        if fault != "cut":
            url = URL(f"{self._behind}{request.raw_path}", encoded=True)
            async with (
                aiohttp.ClientSession(auto_decompress=False) as session,
                session.request(request.method, url, headers=headers, data=await request.read()) as answer,
            ):
                body = await answer.read()
        if fault in ("cut", "lost"):
            if self.meanwhile:
                await self.meanwhile()
            assert request.transport
            request.transport.abort()
            return web.Response()
        kept = ("etag", "content-type")
        told = {name: value for name, value in answer.headers.items() if name.lower() in kept}
        return web.Response(status=answer.status, body=body, headers=told)


@pytest.fixture
async def network(azurite: Azurite) -> AsyncIterator[LossyNetwork]:
    network = LossyNetwork(account_of(azurite.connection_string).table_url)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", network.pass_on)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    network.url = f"http://127.0.0.1:{runner.addresses[0][1]}/{EMULATED_ACCOUNT}"
    yield network
    network.end.set()
    await runner.cleanup()


@pytest.fixture
async def far_table(network: LossyNetwork) -> AsyncIterator[TableClient]:
    """A table that is reached over the lossy network."""
    account = StorageAccount(table_url=network.url, authorization=SharedKey(EMULATED_ACCOUNT, EMULATED_KEY))
    tables = Tables(account)
    yield await tables.table("clienttests")
    await tables.close()


async def test_an_insert_whose_answer_is_lost_has_inserted(
    far_table: TableClient, network: LossyNetwork
) -> None:
    key = a_name()
    network.faults.append("lost")
    etag = await far_table.insert(key, {"n": 1})
    row = await far_table.get(key)
    assert row is not None
    assert row.etag == etag


async def test_an_insert_whose_request_is_lost_is_made_again(
    far_table: TableClient, network: LossyNetwork
) -> None:
    key = a_name()
    network.faults.extend(["cut", "503"])
    await far_table.insert(key, {"n": 1})
    assert await far_table.get(key) is not None


async def test_an_insert_that_lost_its_answer_to_anothers_row_says_so(
    far_table: TableClient, table: TableClient, network: LossyNetwork
) -> None:
    key = a_name()
    await table.insert(key, {"n": 1})
    network.faults.append("lost")
    with pytest.raises(RowExists):
        await far_table.insert(key, {"n": 1})


@pytest.mark.parametrize("method", ["replace", "merge"])
async def test_a_change_whose_answer_is_lost_has_changed(
    far_table: TableClient, network: LossyNetwork, method: str
) -> None:
    key = a_name()
    etag = await far_table.insert(key, {"n": 1})
    network.faults.append("lost")
    changed = await getattr(far_table, method)(key, {"n": 2}, etag=etag)
    row = await far_table.get(key)
    assert row is not None
    assert (row.columns["n"], row.etag) == (2, changed)
    assert changed != etag


@pytest.mark.parametrize("method", ["replace", "merge"])
async def test_a_change_whose_request_is_lost_while_another_changes_the_row_says_so(
    far_table: TableClient, table: TableClient, network: LossyNetwork, method: str
) -> None:
    key = a_name()
    etag = await table.insert(key, {"n": 1})

    async def meanwhile() -> None:
        network.meanwhile = None
        await table.merge(key, {"n": 2})

    network.faults.append("cut")
    network.meanwhile = meanwhile
    with pytest.raises(RowChanged):
        await getattr(far_table, method)(key, {"n": 2}, etag=etag)


async def test_a_put_that_aiohttp_repeats_by_itself_on_a_connection_that_was_kept_has_changed(
    far_table: TableClient, network: LossyNetwork
) -> None:
    key = a_name()
    etag = await far_table.insert(key, {"n": 1})
    network.faults.append("lost")
    network.methods.clear()
    await far_table.replace(key, {"n": 2}, etag=etag)
    assert network.methods == ["PUT", "PUT", "GET"]


@pytest.mark.parametrize("status", ["500", "429"])
async def test_a_service_that_stays_busy_is_given_up(
    far_table: TableClient, network: LossyNetwork, status: str
) -> None:
    network.faults.extend([status] * 20)
    network.methods.clear()
    with pytest.raises(StorageError) as refused:
        await far_table.get(a_name())
    assert (refused.value.status, refused.value.code) == (int(status), "ServerBusy")
    assert len(network.methods) == RETRIES + 1


async def test_a_service_that_is_silent_is_given_up_at_one_deadline_for_all_tries(
    far_table: TableClient, network: LossyNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_http, "CALL_LASTS_SECONDS", 0.3)
    monkeypatch.setattr(storage_http, "RETRIES", 1000)
    network.faults.extend(["cut", "503", *["silent"] * 20])
    network.methods.clear()
    started_at = asyncio.get_running_loop().time()
    with pytest.raises(StorageError, match="in time") as refused:
        await far_table.get(a_name())
    assert asyncio.get_running_loop().time() - started_at < 4  # one try alone would wait 5 s
    assert refused.value.status is None
    monkeypatch.undo()
    network.faults.clear()
    await far_table.get(a_name())


def test_one_call_to_the_storage_ends_before_the_turn_does() -> None:
    assert CLAIM_HOLDS.total_seconds() > CALL_LASTS_SECONDS


async def test_a_service_that_is_not_there_is_given_up() -> None:
    nowhere = account_of("AccountName=a;AccountKey=aGk=;TableEndpoint=http://127.0.0.1:9/a")
    tables = Tables(nowhere)
    with pytest.raises(StorageError) as refused:
        await tables.table("clienttests")
    assert refused.value.status is None
    await tables.close()


@asynccontextmanager
async def odd_table(answer: bytes) -> AsyncIterator[TableClient]:
    """A table of a service that answers these bytes to whatever it is asked."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/odd"
        http = StorageHttp(StorageAccount(table_url=url, authorization=Sas("sv=1&sig=s3cret")))
        try:
            yield TableClient(http, "clienttests")
        finally:
            await http.close()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"\xff"', b"[" * 100_000])
async def test_an_answer_that_is_no_row_is_an_error(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with odd_table(head + body) as table:
        with pytest.raises(StorageError) as refused:
            await table.get("key")
        with pytest.raises(StorageError):
            _ = [page async for page in table.pages()]
    assert refused.value.status == 200


async def test_a_redirect_is_not_followed(unused_tcp_port: int) -> None:
    elsewhere = f"Location: http://127.0.0.1:{unused_tcp_port}/\r\n".encode()
    async with odd_table(b"HTTP/1.1 302 Found\r\n" + elsewhere + b"Content-Length: 0\r\n\r\n") as table:
        with pytest.raises(StorageError) as refused:
            await table.get("key")
    assert refused.value.status == 302


async def test_an_answer_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_http, "LARGEST_ANSWER", 1000)
    monkeypatch.setattr(storage_http, "RETRIES", 0)
    async with odd_table(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2000) as table:
        with pytest.raises(StorageError, match="ClientPayloadError"):
            await table.get("key")


async def test_what_is_told_of_a_failure_does_not_hold_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_http, "RETRIES", 0)
    async with odd_table(b"no HTTP\r\n\r\n") as table:
        with pytest.raises(StorageError) as refused:
            await table.get("key")
    assert "s3cret" not in "".join(traceback.format_exception(refused.value))
