"""What the `connection` of a binding names: a connection string, or an account reached by an identity."""

import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from devhost.app_settings import app_setting

DEFAULT_CONNECTION = "AzureWebJobsStorage"
SERVICES = ("queue", "blob")


@dataclass(frozen=True, slots=True)
class ConnectionString:
    """A storage connection string; its text is a secret."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IdentityConnection:
    """An account and who we are to it: the members of a setting `X`, as in `X__accountName`."""

    account_name: str = ""
    service_uri: str = ""
    queue_service_uri: str = ""
    blob_service_uri: str = ""
    credential: str = ""
    client_id: str = ""
    tenant_id: str = ""
    client_secret: str = field(default="", repr=False)
    managed_identity_resource_id: str = ""
    managed_identity_object_id: str = ""

    def url(self, service: str) -> str:
        """URL of a service (`queue` or `blob`), or "" when the setting does not tell it."""
        given = self.queue_service_uri if service == "queue" else self.blob_service_uri
        if given or self.service_uri:
            return given or self.service_uri
        return f"https://{self.account_name}.{service}.core.windows.net" if self.account_name else ""


ConnectionSetting = ConnectionString | IdentityConnection

_MEMBERS = {name.replace("_", ""): name for name in IdentityConnection.__dataclass_fields__}


def find_connection(connection: str) -> ConnectionSetting:
    """Look up what a binding's connection names. Raises ValueError with the host's own sentence."""
    name = connection or DEFAULT_CONNECTION
    short = name.removeprefix("AzureWebJobs")
    for key in (
        f"ConnectionStrings:AzureWebJobs{short}",
        f"AzureWebJobs{short}",
        f"ConnectionStrings:{name}",
        name,
    ):
        if text := app_setting(key):
            return ConnectionString(text)
        if members := _section(key):
            return IdentityConnection(**members)
    raise ValueError(
        f"Storage account connection string 'AzureWebJobs{short}' does not exist. "
        "Make sure that it is a defined App Setting."
    )


def has_connection(connection: str) -> bool:
    """Whether a connection names anything."""
    try:
        find_connection(connection)
    except ValueError:
        return False
    return True


def _section(key: str) -> dict[str, str]:
    """Members below a key that an identity connection knows; the names of settings have no case."""
    start = key.replace("__", ":").lower() + ":"
    found: dict[str, str] = {}
    for name, value in os.environ.items():
        path = name.replace("__", ":").lower()
        if value and path.startswith(start) and path[len(start) :] in _MEMBERS:
            found[_MEMBERS[path[len(start) :]]] = value
    return found


def require_service(setting: IdentityConnection, service: str, name: str) -> str:
    """URL of a service. Raises ValueError when the setting has none or one that cannot be used."""
    url = setting.url(service)
    if not url:
        raise ValueError(
            f"The connection '{name}' names no {service} service: set '{name}__accountName' "
            f"or '{name}__{service}ServiceUri'."
        )
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise ValueError(
            f"The {service} service of the connection '{name}' must be an https URL: a token is sent to it."
        )
    return url
