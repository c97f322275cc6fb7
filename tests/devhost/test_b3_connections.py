"""Contract B3: what the `connection` of a binding names, by a string and by an identity."""

import subprocess
import sys
from typing import Any

import pytest

from devhost.app_settings import app_setting
from devhost.errors import FunctionRefused, HostStartError
from devhost.host import require_storage
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.binding_rules import check_function
from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.storage.connection_setting import ConnectionString, IdentityConnection, find_connection
from devhost.storage.storage_connection import StorageConnections, check_connection
from devhost.storage.storage_credential import make_credential
from tests.devhost.host_process import ROOT

SECRET = "cGFzc3dvcmQ="


@pytest.fixture(autouse=True)
def no_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert app_setting("AzureWebJobsStore") is None
    monkeypatch.delenv("AzureWebJobsStorage", raising=False)


def settings(monkeypatch: pytest.MonkeyPatch, **values: str) -> None:
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_a_connection_is_looked_up_with_the_prefix_first(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, Store="4")
    assert find_connection("Store") == ConnectionString("4")
    monkeypatch.setenv("ConnectionStrings:Store", "3")
    assert find_connection("Store") == ConnectionString("3")
    settings(monkeypatch, AzureWebJobsStore="2")
    assert find_connection("Store") == ConnectionString("2")
    monkeypatch.setenv("ConnectionStrings__AzureWebJobsStore", "1")
    assert find_connection("Store") == ConnectionString("1")
    assert find_connection("AzureWebJobsStore") == ConnectionString("1")


def test_no_connection_means_that_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, AzureWebJobsStorage="UseDevelopmentStorage=true")
    assert find_connection("") == ConnectionString("UseDevelopmentStorage=true")
    check_connection("")
    check_connection("", "blob")


def test_a_connection_that_is_not_set_is_said_in_the_hosts_words() -> None:
    with pytest.raises(ValueError, match="string 'AzureWebJobsStore' does not exist"):
        find_connection("Store")


def test_an_account_name_leads_to_its_services(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, Store__accountName="acct")
    setting = find_connection("Store")
    assert isinstance(setting, IdentityConnection)
    assert setting.url("queue") == "https://acct.queue.core.windows.net"
    assert setting.url("blob") == "https://acct.blob.core.windows.net"


def test_a_service_uri_wins_over_the_account_name(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, Store__accountName="acct", Store__queueServiceUri="https://q.example/x")
    monkeypatch.setenv("STORE:CLIENTID", "me")
    setting = find_connection("Store")
    assert isinstance(setting, IdentityConnection)
    assert (setting.url("queue"), setting.client_id) == ("https://q.example/x", "me")
    assert setting.url("blob") == "https://acct.blob.core.windows.net"


def test_a_section_with_the_prefix_wins_over_a_string_without(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, Store="a string", AzureWebJobsStore__accountName="acct")
    assert find_connection("Store") == IdentityConnection(account_name="acct")


@pytest.mark.parametrize(
    ("values", "service", "reason"),
    [
        (
            {"queueServiceUri": "https://q.example"},
            "blob",
            "names no blob service: set 'Store__accountName' or",
        ),
        ({"credential": "managedidentity"}, "queue", "names no queue service"),
        ({"queueServiceUri": "http://q.example"}, "queue", "must be an https URL: a token is sent to it"),
        ({"queueServiceUri": "somewhere"}, "queue", "must be an https URL"),
        ({"accountName": "a", "credential": "magic"}, "queue", "'Store__credential' is managedidentity"),
        ({"accountName": "a", "clientSecret": SECRET}, "queue", "it needs 'Store__tenantId' and"),
        (
            {
                "accountName": "a",
                "credential": "managedidentity",
                "clientId": "c",
                "managedIdentityResourceId": "/r",
            },
            "queue",
            "names its managed identity more than once",
        ),
    ],
)
def test_an_identity_that_cannot_be_used_is_refused_without_a_secret(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str], service: str, reason: str
) -> None:
    settings(monkeypatch, **{f"Store__{name}": value for name, value in values.items()})
    binding = (
        Binding("b", "blob", "IN", {"path": "box/x", "connection": "Store"})
        if service == "blob"
        else Binding("q", "queue", "OUT", {"queueName": "work", "connection": "Store"})
    )
    with pytest.raises(FunctionRefused, match=reason) as refused:
        check_function("one", [binding])
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"credential": "managedidentity"}, "ManagedIdentityCredential"),
        ({"credential": "ManagedIdentity", "client_id": "c"}, "ManagedIdentityCredential"),
        (
            {"credential": "managedidentity", "managed_identity_resource_id": "/r"},
            "ManagedIdentityCredential",
        ),
        ({"tenant_id": "t", "client_id": "c", "client_secret": SECRET}, "ClientSecretCredential"),
        ({}, "DefaultAzureCredential"),
        ({"client_id": "c"}, "DefaultAzureCredential"),
    ],
)
async def test_the_members_choose_the_credential(values: dict[str, str], kind: str) -> None:
    made: Any = make_credential(IdentityConnection(account_name="a", **values), "Store")
    assert type(made).__name__ == kind
    await made.close()


def test_no_secret_is_in_what_a_connection_shows() -> None:
    assert SECRET not in repr(ConnectionString(SECRET))
    assert SECRET not in repr(IdentityConnection(client_secret=SECRET))


async def test_an_identity_serves_queues_and_blobs(monkeypatch: pytest.MonkeyPatch) -> None:
    settings(monkeypatch, Store__accountName="acct", Store__credential="managedidentity")
    storage = StorageConnections()
    assert storage.queue("Store", "work").url.startswith("https://acct.queue.core.windows.net/")
    assert storage.blob("Store", "box", "x").url == "https://acct.blob.core.windows.net/box/x"
    await storage.close()


def queue_app() -> LoadedApp:
    def work(msg: str) -> None: ...

    trigger = Binding("msg", "queueTrigger", "IN", {"queueName": "work"})
    signature = read_signature("work", work, [trigger])
    return LoadedApp([FunctionDefinition("work", work, trigger, (trigger,), signature, is_async=False)])


@pytest.mark.parametrize("name", ["AzureWebJobsStorage", "AzureWebJobsStorage__accountName"])
def test_the_hosts_own_storage_is_a_string_or_an_identity(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(HostStartError, match="Missing value for AzureWebJobsStorage"):
        require_storage(queue_app())
    monkeypatch.setenv(name, "x")
    require_storage(queue_app())


def test_azure_identity_and_blobs_are_imported_by_those_who_use_them_only() -> None:
    script = (
        "import sys, devhost.host; "
        "print({'azure.identity', 'azure.storage.blob'} & set(sys.modules) or 'none')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "none"
