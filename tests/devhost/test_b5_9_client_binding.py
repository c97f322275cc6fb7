"""B5.9: the value of a durableClient binding."""

import json
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.client_binding import DurableClientUrls
from devhost.indexing.function_binding import Binding

BASE = "http://localhost:7071/runtime/webhooks/durabletask"


@pytest.fixture(autouse=True)
def no_host_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEBSITE_HOSTNAME", raising=False)


def value_of(urls: DurableClientUrls, **properties: str) -> Any:
    return json.loads(urls.client_datum(Binding("client", "durableClient", "IN", properties)).value)


def test_the_whole_value() -> None:
    query = "taskHub=TestHubName&connection=Storage&code=K"
    one = f"{BASE}/instances/INSTANCEID"
    assert value_of(DurableClientUrls("TestHubName", 7071, key="K")) == {
        "taskHubName": "TestHubName",
        "connectionName": None,
        "creationUrls": {
            "createNewInstancePostUri": f"{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]?code=K",
            "createAndWaitOnNewInstancePostUri": f"{BASE}/orchestrators/{{functionName}}[/{{instanceId}}]"
            "?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&code=K",
        },
        "managementUrls": {
            "id": "INSTANCEID",
            "statusQueryGetUri": f"{one}?{query}",
            "sendEventPostUri": f"{one}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{one}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{one}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{one}?{query}",
            "restartPostUri": f"{one}/restart?{query}",
            "suspendPostUri": f"{one}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{one}/resume?reason={{text}}&{query}",
        },
        "baseUrl": BASE,
        "requiredQueryStringParameters": "code=K",
        "rpcBaseUrl": "http://127.0.0.1:7071/durabletask/",
        "httpBaseUrl": None,
    }


def test_without_keys_the_code_is_devhost() -> None:
    assert value_of(DurableClientUrls("Hub", 7071))["requiredQueryStringParameters"] == "code=devhost"


def test_a_key_is_escaped() -> None:
    value = value_of(DurableClientUrls("Hub", 7071, key="a+b/c=="))
    assert value["requiredQueryStringParameters"] == "code=a%2Bb%2Fc%3D%3D"
    assert value["managementUrls"]["statusQueryGetUri"].endswith("&code=a%2Bb%2Fc%3D%3D")


@pytest.mark.derived
def test_the_hub_and_the_connection_of_a_binding_are_told_to_its_client() -> None:
    value = value_of(DurableClientUrls("Hub", 7071), taskHub="Other", connectionName="Their Storage")
    assert (value["taskHubName"], value["connectionName"]) == ("Other", "Their Storage")
    assert "?taskHub=Other&connection=Their+Storage&code=" in value["managementUrls"]["statusQueryGetUri"]


@pytest.mark.parametrize(
    ("host_name", "base"),
    [
        ("localhost:7072", "http://localhost:7072/"),
        ("app.azurewebsites.net", "https://app.azurewebsites.net/"),
        ("127.0.0.1:7071", "https://127.0.0.1:7071/"),
    ],
)
def test_the_webhooks_are_reached_at_the_name_of_the_site(
    monkeypatch: pytest.MonkeyPatch, host_name: str, base: str
) -> None:
    monkeypatch.setenv("WEBSITE_HOSTNAME", host_name)
    value = value_of(DurableClientUrls("Hub", 7071))
    assert value["baseUrl"] == f"{base}runtime/webhooks/durabletask"
    assert value["managementUrls"]["statusQueryGetUri"].startswith(base)
    assert value["rpcBaseUrl"] == "http://127.0.0.1:7071/durabletask/"


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104 (nothing is bound)
        ("localhost", "127.0.0.1"),
        ("192.0.2.7", "192.0.2.7"),
        ("::", "[::1]"),
        ("::1", "[::1]"),
    ],
)
def test_the_client_speaks_to_the_address_that_the_host_listens_at(address: str, origin: str) -> None:
    assert value_of(DurableClientUrls("Hub", 80, address))["rpcBaseUrl"] == f"http://{origin}:80/durabletask/"


def test_the_sdk_makes_a_client_of_it_that_links_to_an_instance() -> None:
    text = DurableClientUrls("Hub", 7071, key="K").binding_json()
    client = df.DurableOrchestrationClient(text)
    links = client.create_http_management_payload("one")
    assert links["id"] == "one"
    assert links["terminatePostUri"] == (
        f"{BASE}/instances/one/terminate?reason={{text}}&taskHub=Hub&connection=Storage&code=K"
    )
