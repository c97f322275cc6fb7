"""Requests to Azure Storage by the app's managed identity: no key, a token that is fetched now and then."""

from email.utils import formatdate
from urllib.parse import urlsplit

from adapters.credentials import CachedCredentials
from adapters.entra import ManagedIdentity
from adapters.storage_account import StorageAccount
from adapters.storage_http import StorageError
from adapters.storage_signing import StorageConnectionError
from agent.ports import ChannelError

RESOURCE = "https://storage.azure.com/"  # in each of Azure's clouds


class StorageIdentity:
    """The system-assigned identity, or the user-assigned one of ``client_id``.

    Azure documentation, "Authorize access to tables using Microsoft Entra ID".
    """

    query = ""

    def __init__(self, client_id: str = "") -> None:
        self._credentials = CachedCredentials(ManagedIdentity(client_id, resource=RESOURCE).fetch)

    async def headers(self, path: str) -> dict[str, str]:
        return {"x-ms-date": formatdate(usegmt=True), "Authorization": f"Bearer {await self.token()}"}

    async def token(self) -> str:
        try:
            return await self._credentials.token()
        except ChannelError as error:
            raise StorageError(None, f"the storage account is not opened: {error}") from error


def account_by_identity(
    *, account_name: str = "", table_url: str = "", queue_url: str = "", client_id: str = ""
) -> StorageAccount:
    """The account of this name, or with these services. Raises StorageConnectionError.

    Azure Functions documentation, "Connecting to host storage with an identity".
    """
    urls = {
        "table": table_url or f"https://{account_name}.table.core.windows.net",
        "queue": queue_url or f"https://{account_name}.queue.core.windows.net",
    }
    for service, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.hostname.startswith("."):
            raise StorageConnectionError(f"the storage account's {service} service must be an https URL")
    return StorageAccount(
        table_url=urls["table"].rstrip("/"),
        queue_url=urls["queue"].rstrip("/"),
        authorization=StorageIdentity(client_id),
    )
