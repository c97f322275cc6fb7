"""Credentials of azure-identity for connections that have no secret of the account.

azure-identity takes long to import and few apps need it here: it is imported with the first such connection.
"""
# ruff: noqa: PLC0415 (see above)

from typing import TYPE_CHECKING

from devhost.storage.connection_setting import IdentityConnection

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


def make_credential(setting: IdentityConnection, name: str) -> "AsyncTokenCredential":
    """The credential that a setting asks for. Raises ValueError when its members do not fit together."""
    kind = setting.credential.lower()
    if kind not in ("", "managedidentity", "workloadidentity"):
        raise ValueError(
            f"The connection '{name}' asks for a credential that devhost does not know: "
            f"'{name}__credential' is managedidentity, workloadidentity or not set."
        )
    if kind == "managedidentity":
        return _managed_identity(setting, name)
    if kind == "workloadidentity":
        from azure.identity.aio import WorkloadIdentityCredential

        return WorkloadIdentityCredential(
            client_id=setting.client_id or None, tenant_id=setting.tenant_id or None
        )
    if setting.client_secret:
        return _client_secret(setting, name)
    from azure.identity.aio import DefaultAzureCredential

    if setting.client_id:
        return DefaultAzureCredential(
            managed_identity_client_id=setting.client_id, workload_identity_client_id=setting.client_id
        )
    return DefaultAzureCredential()


def _managed_identity(setting: IdentityConnection, name: str) -> "AsyncTokenCredential":
    from azure.identity.aio import ManagedIdentityCredential

    identities = {
        "client_id": setting.client_id,
        "resource_id": setting.managed_identity_resource_id,
        "object_id": setting.managed_identity_object_id,
    }
    given = {key: value for key, value in identities.items() if value}
    if len(given) > 1:
        raise ValueError(
            f"The connection '{name}' names its managed identity more than once: set one of "
            "clientId, managedIdentityResourceId and managedIdentityObjectId."
        )
    if "client_id" in given:
        return ManagedIdentityCredential(client_id=given["client_id"])
    return ManagedIdentityCredential(identity_config=given) if given else ManagedIdentityCredential()


def _client_secret(setting: IdentityConnection, name: str) -> "AsyncTokenCredential":
    from azure.identity.aio import ClientSecretCredential

    if not (setting.tenant_id and setting.client_id):
        raise ValueError(
            f"The connection '{name}' has a client secret: it needs '{name}__tenantId' "
            f"and '{name}__clientId', too."
        )
    return ClientSecretCredential(setting.tenant_id, setting.client_id, setting.client_secret)
