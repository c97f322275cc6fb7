"""The app settings: read once, typed, and listed in local.settings.json.example."""

import json
from pathlib import Path

import pytest

from settings import (
    SECRET_OF_THE_EXAMPLE,
    Settings,
    SettingsError,
    is_loopback,
    read_settings,
    setting_names,
)

ROOT = Path(__file__).parent.parent.parent
STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
TENANT = "11111111-1111-4111-8111-111111111111"
LONG_SECRET = "a secret of thirty-two characters"
LOCALLY = "http://127.0.0.1:7071"
# What the host itself reads.
OF_THE_HOST = {"FUNCTIONS_WORKER_RUNTIME"}


def test_the_example_lists_every_setting_and_none_that_nobody_reads() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))
    assert set(example["Values"]) == set(setting_names()) | OF_THE_HOST


def test_the_docs_list_every_setting() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text("utf-8")
    assert [name for name in setting_names() if f"`{name}`" not in documented] == []


def test_the_examples_values_are_usable_and_those_of_a_developers_machine() -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text("utf-8"))
    assert read_settings(example["Values"]).accepts_unsigned_turns


def test_what_is_absent_or_empty_has_its_default() -> None:
    assert read_settings(STORAGE) == read_settings({**STORAGE, "RetentionDays": "", "Unknown": "x"})
    assert read_settings(STORAGE) == Settings(storage_connection="UseDevelopmentStorage=true")


SINGLE = {"MicrosoftAppId": "app", "MicrosoftAppTenantId": "tenant"}
MULTI = {"MicrosoftAppId": "app", "MicrosoftAppType": "MultiTenant"}
MANAGED = {"MicrosoftAppId": "app", "MicrosoftAppType": "UserAssignedMSI"}
PASSWORD = {"MicrosoftAppPassword": "secret"}
CERTIFICATE = {"MicrosoftAppCertificate": "secret"}
FEDERATED = {"MicrosoftAppFederatedClientId": "secret"}


@pytest.mark.parametrize("kind", [SINGLE, MULTI])
@pytest.mark.parametrize("credential", [PASSWORD, CERTIFICATE, FEDERATED])
def test_an_app_proves_who_it_is_in_one_way(kind: dict[str, str], credential: dict[str, str]) -> None:
    assert read_settings({**STORAGE, **kind, **credential}).app_id == "app"


def test_a_managed_identity_needs_no_credential_and_a_tenant_does_no_harm() -> None:
    for tenant in ({}, {"MicrosoftAppTenantId": "tenant"}):
        assert read_settings({**STORAGE, **MANAGED, **tenant}).app_type == "UserAssignedMSI"


def test_in_china_the_settings_tell_where_the_channel_is() -> None:
    given = {"ProactiveServiceUrl": "https://channel.example/", "AllowedServiceHosts": "channel.example"}
    assert read_settings({**STORAGE, **given, "ChannelCloud": "China"}).cloud == "China"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"AzureWebJobsStorage": ""}, "AzureWebJobsStorage"),
        (
            {"AzureWebJobsStorage": "", "AzureWebJobsStorage__queueServiceUri": "https://a.example"},
            "AzureWebJobsStorage",
        ),
        ({"RetentionDays": "many"}, "RetentionDays"),
        ({"RetentionDays": "0"}, "RetentionDays"),
        ({"OrderWaitSeconds": "-1"}, "OrderWaitSeconds"),
        ({"OrderWaitSeconds": "nan"}, "OrderWaitSeconds"),
        ({"OrderDeliverySeconds": "inf"}, "OrderDeliverySeconds"),
        ({"ProactiveServiceUrl": "http://[::1/"}, "ProactiveServiceUrl"),
        ({"ProactiveRoute": "email"}, "ProactiveRoute"),
        ({"ChannelAuth": "maybe"}, "ChannelAuth must be one of on, off"),
        ({"AmbiguousSends": "Hold"}, "AmbiguousSends must be one of nothing, resend, hold"),
        ({"MaxActivityBytes": "big"}, "MaxActivityBytes must be a number"),
        ({"AllowedServiceHosts": "https://canary.botapi.skype.com/"}, "AllowedServiceHosts"),
        ({"AllowedServiceHosts": "smba.example, *.skype.com"}, "AllowedServiceHosts"),
        ({"AllowedServiceHosts": "smba.example:8443"}, "AllowedServiceHosts"),
        ({"MicrosoftAppId": "app"}, "MicrosoftAppPassword"),
        ({"MicrosoftAppId": "app"}, "MicrosoftAppCertificate"),
        ({"MicrosoftAppId": "app"}, "MicrosoftAppFederatedClientId"),
        ({**SINGLE, **PASSWORD, **CERTIFICATE}, "MicrosoftAppPassword and MicrosoftAppCertificate are"),
        ({**SINGLE, **PASSWORD, **FEDERATED}, "MicrosoftAppPassword and MicrosoftAppFederatedClientId are"),
        (
            {**MULTI, **CERTIFICATE, **FEDERATED},
            "MicrosoftAppCertificate and MicrosoftAppFederatedClientId are",
        ),
        ({**MANAGED, **PASSWORD}, "UserAssignedMSI.*MicrosoftAppPassword"),
        ({**MANAGED, **CERTIFICATE}, "UserAssignedMSI.*MicrosoftAppCertificate"),
        ({"MicrosoftAppId": "app", **FEDERATED}, "MicrosoftAppTenantId"),
        ({"ChannelCloud": "China"}, "China.*ProactiveServiceUrl and AllowedServiceHosts"),
        ({"ChannelCloud": "China", "AllowedServiceHosts": "channel.example"}, "ProactiveServiceUrl"),
        ({"MicrosoftAppId": "app", "MicrosoftAppPassword": "secret"}, "MicrosoftAppTenantId"),
        ({"ProactiveServiceUrl": "http://smba.example/"}, "ProactiveServiceUrl"),
        ({"ProactiveServiceUrl": "ftp://smba.example/"}, "ProactiveServiceUrl"),
        ({"BotOpenIdMetadata": "http://127.0.0.1:1/"}, "BotOpenIdMetadata"),
        ({"ChannelCloud": "Moon"}, "ChannelCloud"),
        ({"EmulatorTokens": "maybe"}, "EmulatorTokens"),
        ({"EmulatorTokens": "on"}, "EmulatorTokens"),
        ({"EmulatorTokens": "on", "AZURE_FUNCTIONS_ENVIRONMENT": "Staging"}, "EmulatorTokens"),
        (
            {
                "EmulatorTokens": "on",
                "ChannelCloud": "China",
                "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            },
            "EmulatorTokens",
        ),
        ({"AllowedTenants": "contoso.example"}, "AllowedTenants"),
        ({"AllowedTenants": f"{TENANT},*"}, "AllowedTenants"),
        ({"AllowedTenants": f"{TENANT} {TENANT}"}, "AllowedTenants"),
        ({"AllowedTenants": " , "}, "AllowedTenants"),
        ({"TenantRequestsPerSecond": "0"}, "TenantRequestsPerSecond"),
        ({"TenantRequestsPerSecond": "51"}, "TenantRequestsPerSecond"),
        ({"ConversationSendLimits": "7"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "7/1, 8/"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "7/1,"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "0/1"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "7/nan"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "7/-1"}, "ConversationSendLimits"),
        ({"ConversationSendLimits": "7.5/1"}, "ConversationSendLimits"),
        ({"CallbackSecret": "secret"}, "CallbackSecret.*32"),
        ({"CallbackSecret": f"{LONG_SECRET},secret"}, "CallbackSecret.*32"),
        ({"CallbackSecret": f"{LONG_SECRET},{LONG_SECRET},{LONG_SECRET}"}, "CallbackSecret"),
        ({"CallbackSecret": " , "}, "CallbackSecret"),
        ({"CallbackSecret": SECRET_OF_THE_EXAMPLE}, "CallbackSecret.*example"),
        ({"CallbackSecret": f"{LONG_SECRET},{SECRET_OF_THE_EXAMPLE}"}, "CallbackSecret.*example"),
        ({"AnswererKey": "secret"}, "AnswererModel"),
        ({"AnswererUrl": "https://models.example/v1/"}, "AnswererModel"),
        ({"ApproverObjectId": "Megan"}, "ApproverObjectId"),
        ({"AnswererModel": "m"}, "AnswererKey"),
        ({"AnswererModel": "m", "AnswererKey": "my secret"}, "AnswererKey"),
        ({"AnswererModel": "m", "AnswererKey": "secret\n"}, "AnswererKey"),
        ({"AnswererModel": "m", "AnswererUrl": "http://models.example/v1"}, "AnswererUrl"),
        ({"PublicUrl": "http://app.example"}, "PublicUrl"),
        ({"PublicUrl": "http://127.0.0.1:7071"}, "PublicUrl"),
        ({"PublicUrl": "app.example"}, "PublicUrl"),
        ({"PublicUrl": "https://app.example/?a=b"}, "PublicUrl"),
        ({"PublicUrl": "https://app.example/#a"}, "PublicUrl"),
    ],
)
def test_an_unusable_setting_is_named_and_no_secret_is_told(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        read_settings({**STORAGE, **given})
    assert "secret" not in str(caught.value)


def test_of_two_secrets_of_callbacks_the_first_signs() -> None:
    older = LONG_SECRET[::-1]
    given = {**STORAGE, "CallbackSecret": f" {LONG_SECRET} ,{older}"}
    assert read_settings(given).callback_secrets == (LONG_SECRET, older)
    assert read_settings(STORAGE).callback_secrets == ()


@pytest.mark.parametrize(
    ("given", "public_url"),
    [
        ({}, ""),
        ({"WEBSITE_HOSTNAME": "afterword.azurewebsites.net"}, "https://afterword.azurewebsites.net"),
        ({"WEBSITE_HOSTNAME": "a.example", "PublicUrl": "https://b.example/c"}, "https://b.example/c"),
        ({"AZURE_FUNCTIONS_ENVIRONMENT": "Development", "PublicUrl": LOCALLY}, LOCALLY),
    ],
)
def test_the_apps_own_address_is_told_by_a_setting_or_by_azure(
    given: dict[str, str], public_url: str
) -> None:
    assert read_settings({**STORAGE, **given}).public_url == public_url


def test_tenants_are_a_list_with_commas_in_either_case() -> None:
    another = "abcdefab-cdef-4bcd-8fab-cdefabcdefab"
    given = {**STORAGE, "AllowedTenants": f" {TENANT} ,{another.upper()},"}
    assert read_settings(given).tenants == {TENANT, another}
    assert read_settings(STORAGE).tenants == frozenset()


def test_the_emulators_tokens_may_be_let_in_in_development() -> None:
    given = {"EmulatorTokens": "on", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}
    assert read_settings({**STORAGE, **given}).emulator_tokens == "on"


def test_the_limits_of_a_conversation_are_pairs_of_sends_and_seconds() -> None:
    assert read_settings(STORAGE).conversation_limits == ((7, 1), (8, 2), (60, 30), (1800, 3600))
    given = {**STORAGE, "ConversationSendLimits": " 3/0.5 ,9/10"}
    assert read_settings(given).conversation_limits == ((3, 0.5), (9, 10))


@pytest.mark.parametrize(
    ("given", "accepted"),
    [
        ({"ChannelAuth": "off", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, True),
        ({"ChannelAuth": "off"}, False),
        ({"ChannelAuth": "off", "AZURE_FUNCTIONS_ENVIRONMENT": "Staging"}, False),
        ({"AZURE_FUNCTIONS_ENVIRONMENT": "Development"}, False),
    ],
)
def test_unsigned_turns_are_accepted_in_development_only_and_only_when_asked_for(
    given: dict[str, str], accepted: bool
) -> None:
    assert read_settings({**STORAGE, **given}).accepts_unsigned_turns is accepted


def test_with_an_app_id_no_unsigned_turn_is_accepted_whatever_else_is_set() -> None:
    given = {"MicrosoftAppId": "a", "MicrosoftAppPassword": "p", "MicrosoftAppTenantId": "t"}
    off = {"ChannelAuth": "off", "AZURE_FUNCTIONS_ENVIRONMENT": "Development"}
    assert not read_settings({**STORAGE, **given, **off}).accepts_unsigned_turns


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://localhost:56150/_connector", True),
        ("http://127.0.0.1:1", True),
        ("http://[::1]:1", True),
        ("https://smba.trafficmanager.net/teams/", False),
        ("http://localhost.example/", False),
        ("http://localhost@example.com/", False),
        ("http://127.0.0.1.example.com/", False),
        ("localhost", False),
        ("http://[::1/", False),
        ("", False),
    ],
)
def test_only_this_very_machine_is_loopback(url: str, local: bool) -> None:
    assert is_loopback(url) is local
