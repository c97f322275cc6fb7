"""How requests to Azure Storage are authorized: by the account's key, or by a shared access signature."""

import base64
import binascii
import hmac
from email.utils import formatdate
from typing import Protocol, runtime_checkable


class StorageConnectionError(Exception):
    """The storage connection cannot be used; the message says what is amiss, never a value."""


class StorageAuthorization(Protocol):
    """What a request to the storage account must carry."""

    @property
    def query(self) -> str:
        """What the query string carries, or nothing."""

    async def headers(self, path: str) -> dict[str, str]:
        """The headers for a request to ``path``, which is the URL's path as it is sent."""


@runtime_checkable
class Tokens(Protocol):
    """An authorization by bearer tokens, which the SDK of queues takes too."""

    async def token(self) -> str:
        """A token that is good now. Raises StorageError."""


class SharedKey:
    """Shared Key Lite, as the Table service wants it: date and resource are signed.

    Azure Storage REST documentation, "Authorize with Shared Key", section "Shared Key Lite authorization
    for the Table service".
    """

    query = ""

    def __init__(self, account_name: str, account_key: str) -> None:
        self._account_name = account_name
        try:
            self._key = base64.b64decode(account_key, validate=True)
        except binascii.Error:
            raise StorageConnectionError("the storage account's key is not base64") from None

    async def headers(self, path: str) -> dict[str, str]:
        date = formatdate(usegmt=True)
        return {"x-ms-date": date, "Authorization": self.signature(path, date=date)}

    def signature(self, path: str, *, date: str) -> str:
        """The header Authorization."""
        signed = f"{date}\n/{self._account_name}{path}".encode()
        digest = hmac.digest(self._key, signed, "sha256")
        return f"SharedKeyLite {self._account_name}:{base64.b64encode(digest).decode()}"


class Sas:
    """A shared access signature: it stands in the query string of each request."""

    def __init__(self, signature: str) -> None:
        self.query = signature.removeprefix("?")

    async def headers(self, path: str) -> dict[str, str]:
        return {}
