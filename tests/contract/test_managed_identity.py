"""Tokens of the managed identity, from an identity endpoint as App Service has it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.managed_identity import StorageIdentity, account_by_identity
from adapters.storage_account import StorageAccount
from adapters.storage_http import StorageError
from adapters.storage_queue import queue_service
from adapters.storage_signing import StorageConnectionError
from adapters.tables import Tables


class IdentityEndpoint:
    """App Service documentation, "REST endpoint reference", section on managed identities; and a table
    service that takes its tokens."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.is_broken = False
        self.url = ""
        self.authorizations: list[str | None] = []

    async def tokens(self, request: web.Request) -> web.Response:
        assert request.headers["X-IDENTITY-HEADER"] == "header"
        self.asked.append(dict(request.query))
        if self.is_broken:
            return web.json_response({"statusCode": 400, "message": "hidden"}, status=400)
        expires_on = int(time.time()) + 3600
        token = f"token-{len(self.asked)}"
        return web.json_response({"access_token": token, "expires_on": str(expires_on)})

    async def storage(self, request: web.Request) -> web.Response:
        self.authorizations.append(request.headers.get("Authorization"))
        return web.Response(status=204)


@pytest.fixture
async def endpoint(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[IdentityEndpoint]:
    endpoint = IdentityEndpoint()
    app = web.Application()
    app.router.add_get("/token", endpoint.tokens)
    app.router.add_route("*", "/storage/{path:.*}", endpoint.storage)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    endpoint.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{endpoint.url}/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")
    yield endpoint
    await runner.cleanup()


async def test_one_token_serves_all_who_ask(endpoint: IdentityEndpoint) -> None:
    identity = StorageIdentity()
    asked = await asyncio.gather(*(identity.token() for _ in range(8)))
    assert {*asked, await identity.token()} == {"token-1"}
    assert endpoint.asked == [{"api-version": "2019-08-01", "resource": "https://storage.azure.com/"}]


async def test_a_user_assigned_identity_is_named_by_its_client_id(endpoint: IdentityEndpoint) -> None:
    await StorageIdentity("the-client").token()
    assert endpoint.asked[0]["client_id"] == "the-client"


async def test_no_token_is_a_storage_error_that_tells_no_secret(endpoint: IdentityEndpoint) -> None:
    endpoint.is_broken = True
    identity = StorageIdentity()
    with pytest.raises(StorageError, match="gave no token for the managed identity") as refused:
        await identity.token()
    assert "hidden" not in str(refused.value)
    endpoint.is_broken = False
    assert await identity.token() == "token-2"


async def test_requests_to_tables_carry_the_token(endpoint: IdentityEndpoint) -> None:
    account = StorageAccount(table_url=f"{endpoint.url}/storage", authorization=StorageIdentity())
    tables = Tables(account)
    await (await tables.table("orders")).delete("p")
    await tables.close()
    assert endpoint.authorizations == ["Bearer token-1"] * 2


@pytest.mark.parametrize(
    "given",
    [{}, {"table_url": "http://shop.example", "account_name": "shop"}, {"table_url": "https://shop.example"}],
)
def test_a_token_goes_to_no_address_that_is_not_https(given: dict[str, str]) -> None:
    with pytest.raises(StorageConnectionError):
        account_by_identity(**given)


async def test_queues_are_reached_by_the_same_identity(endpoint: IdentityEndpoint) -> None:
    account = account_by_identity(account_name="shop", queue_url="https://shop.queue.core.chinacloudapi.cn/")
    assert account.table_url == "https://shop.table.core.windows.net"
    async with queue_service(account) as queues:
        assert queues.url.rstrip("/") == "https://shop.queue.core.chinacloudapi.cn"
        assert (await queues.credential.get_token("https://storage.azure.com/.default")).token == "token-1"
