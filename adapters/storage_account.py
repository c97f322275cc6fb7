"""Where the services of a storage account are, and how requests to them are authorized."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from adapters.storage_signing import Sas, SharedKey, StorageAuthorization, StorageConnectionError

# The storage emulator's published account; its key opens nothing else.
EMULATED_ACCOUNT = "devstoreaccount1"
EMULATED_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
EMULATED_TABLE_PORT = 10002


@dataclass(frozen=True, kw_only=True)
class StorageAccount:
    """URLs are without a slash at their end. By ``connection_string``, if there is one, the SDK of queues
    finds its service and its key; by ``queue_url`` and ``authorization`` otherwise."""

    table_url: str
    authorization: StorageAuthorization
    queue_url: str = ""
    connection_string: str = field(default="", repr=False)


def account_of(storage_connection: str) -> StorageAccount:
    """What a connection string says. Raises StorageConnectionError.

    Azure Storage documentation, "Configure Azure Storage connection strings".
    """
    given = _parts(storage_connection)
    if given.get("usedevelopmentstorage", "").lower() == "true":
        proxy = urlsplit(given.get("developmentstorageproxyuri") or "http://127.0.0.1")
        return StorageAccount(
            table_url=f"{proxy.scheme}://{proxy.hostname}:{EMULATED_TABLE_PORT}/{EMULATED_ACCOUNT}",
            authorization=SharedKey(EMULATED_ACCOUNT, EMULATED_KEY),
            connection_string=storage_connection,
        )
    return StorageAccount(
        table_url=_table_url(given),
        authorization=_authorization(given),
        connection_string=storage_connection,
    )


def _parts(storage_connection: str) -> dict[str, str]:
    """Names, in small letters, to values. A value may hold = itself."""
    parts = {}
    for part in filter(None, (part.strip() for part in storage_connection.split(";"))):
        name, equals, value = part.partition("=")
        if not equals:
            raise StorageConnectionError("the storage connection string is not made of name=value;…")
        parts[name.strip().lower()] = value.strip()
    return parts


def _table_url(given: dict[str, str]) -> str:
    url = given.get("tableendpoint", "")
    if not url and given.get("accountname"):
        scheme = given.get("defaultendpointsprotocol") or "https"
        suffix = given.get("endpointsuffix") or "core.windows.net"
        url = f"{scheme}://{given['accountname']}.table.{suffix}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageConnectionError("the storage connection string names no account and no TableEndpoint")
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _authorization(given: dict[str, str]) -> StorageAuthorization:
    if given.get("sharedaccesssignature"):
        return Sas(given["sharedaccesssignature"])
    if given.get("accountname") and given.get("accountkey"):
        return SharedKey(given["accountname"], given["accountkey"])
    raise StorageConnectionError(
        "the storage connection string holds neither AccountName and AccountKey nor SharedAccessSignature"
    )
