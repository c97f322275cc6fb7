"""Connection strings, and how requests are signed."""

import pytest

from adapters.storage_account import EMULATED_KEY, account_of
from adapters.storage_signing import Sas, SharedKey, StorageConnectionError

PORTAL = "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=c2VjcmV0;EndpointSuffix="


@pytest.mark.parametrize(
    ("storage_connection", "table_url"),
    [
        (f"{PORTAL}core.windows.net", "https://shop.table.core.windows.net"),
        (f"{PORTAL}core.chinacloudapi.cn;", "https://shop.table.core.chinacloudapi.cn"),
        ("AccountName=shop;AccountKey=c2VjcmV0", "https://shop.table.core.windows.net"),
        (" accountname = shop ; accountkey = c2VjcmV0 ", "https://shop.table.core.windows.net"),
        (f"{PORTAL}x;TableEndpoint=https://tables.shop.example/", "https://tables.shop.example"),
        ("UseDevelopmentStorage=true", "http://127.0.0.1:10002/devstoreaccount1"),
        (
            "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite.example",
            "http://azurite.example:10002/devstoreaccount1",
        ),
        (
            "AccountName=devstoreaccount1;AccountKey=c2VjcmV0;"
            "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1",
            "http://127.0.0.1:10002/devstoreaccount1",
        ),
    ],
)
def test_a_connection_string_says_where_the_tables_are(storage_connection: str, table_url: str) -> None:
    account = account_of(storage_connection)
    assert account.table_url == table_url
    assert isinstance(account.authorization, SharedKey)


async def test_a_shared_access_signature_stands_in_the_query_and_signs_nothing_else() -> None:
    account = account_of(
        "TableEndpoint=https://shop.table.core.windows.net/;SharedAccessSignature=?sv=2020-12-06&sig=a%2Fb%3D"
    )
    assert isinstance(account.authorization, Sas)
    assert account.authorization.query == "sv=2020-12-06&sig=a%2Fb%3D"
    assert await account.authorization.headers("/orders") == {}


@pytest.mark.parametrize(
    "storage_connection",
    [
        "",
        "hidden",
        "AccountName=shop",
        "AccountKey=aGlkZGVu",
        "AccountName=shop;AccountKey=hidden!",
        "TableEndpoint=shop;AccountName=shop;AccountKey=aGlkZGVu",
        "TableEndpoint=https://shop.example",
    ],
)
def test_a_connection_string_that_does_not_do_is_refused_without_telling_it(storage_connection: str) -> None:
    with pytest.raises(StorageConnectionError) as refused:
        account_of(storage_connection)
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("account_name", "account_key", "date", "path", "signature"),
    # Computed with openssl dgst -sha256 -mac HMAC.
    [
        (
            "devstoreaccount1",
            EMULATED_KEY,
            "Fri, 26 Jun 2015 23:39:12 GMT",
            "/devstoreaccount1/Tables",
            "VuaBO8Q8Lunn8jBU8fntlFomiNq5rTcfxYB1f9a0Mb8=",
        ),
        (
            "testaccount1",
            "c2VjcmV0",
            "Sun, 11 Oct 2009 19:52:39 GMT",
            "/mytable(PartitionKey='it''s%20%C3%A4',RowKey='row')",
            "7Wdr0YVM68bTj3DGmjUYxcmwPTi75GtYZ7LSW9iDF10=",
        ),
    ],
)
def test_date_and_resource_are_signed(
    account_name: str, account_key: str, date: str, path: str, signature: str
) -> None:
    signed = SharedKey(account_name, account_key).signature(path, date=date)
    assert signed == f"SharedKeyLite {account_name}:{signature}"


async def test_the_date_that_is_signed_is_the_one_that_is_sent() -> None:
    key = SharedKey("shop", "c2VjcmV0")
    headers = await key.headers("/orders")
    assert headers["x-ms-date"].endswith(" GMT")
    assert headers["Authorization"] == key.signature("/orders", date=headers["x-ms-date"])
