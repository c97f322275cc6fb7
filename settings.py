"""Every app setting, read once and typed; local.settings.json.example lists them all with safe values."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

LONGEST_BUDGET_SECONDS = 12  # the channel gives up a turn after 15 s
LONGEST_ORDER_SECONDS = 30 * 24 * 3600
# Teams takes about 100 KB (Teams documentation, "Format your bot messages", section "Message size").
SMALLEST_ACTIVITY, LARGEST_ACTIVITY = 4_000, 100_000  # bytes in UTF-16
TENANT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
MOST_REQUESTS_PER_SECOND = 50  # into one tenant (Teams documentation, "Handle bot rate limits")
OBJECT_ID = re.compile(TENANT_ID.pattern, re.ASCII | re.IGNORECASE)
SHORTEST_SECRET, MOST_SECRETS = 32, 2  # two, while the one takes over from the other
# Of local.settings.json.example, so that callbacks work on a developer's machine; everybody knows it.
SECRET_OF_THE_EXAMPLE = "for-development-only-and-no-secret"  # noqa: S105
LONGEST_LIMIT_SECONDS, MOST_SENDS = 24 * 3600, 10_000
HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class SettingsError(Exception):
    """A setting is missing or malformed; the message names it and says what is allowed."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The app settings of one process. Names in brackets are those of local.settings.json and of Azure.

    The names of the first block are Bot Framework's own; the others are documented in docs/settings.md.
    """

    app_id: str = msgspec.field(name="MicrosoftAppId", default="")
    app_password: str = msgspec.field(name="MicrosoftAppPassword", default="")
    app_tenant_id: str = msgspec.field(name="MicrosoftAppTenantId", default="")
    app_type: Literal["MultiTenant", "SingleTenant", "UserAssignedMSI"] = msgspec.field(
        name="MicrosoftAppType", default="SingleTenant"
    )
    app_certificate: str = msgspec.field(name="MicrosoftAppCertificate", default="")
    app_federated_client_id: str = msgspec.field(name="MicrosoftAppFederatedClientId", default="")
    open_id_metadata_url: str = msgspec.field(name="BotOpenIdMetadata", default="")

    environment: str = msgspec.field(name="AZURE_FUNCTIONS_ENVIRONMENT", default="Production")
    cloud: Literal["Public", "GCC", "GCCHigh", "DoD", "China"] = msgspec.field(
        name="ChannelCloud", default="Public"
    )
    channel_auth: Literal["on", "off"] = msgspec.field(name="ChannelAuth", default="on")
    emulator_tokens: Literal["on", "off"] = msgspec.field(name="EmulatorTokens", default="off")
    allowed_tenants: str = msgspec.field(name="AllowedTenants", default="")

    storage_connection: str = msgspec.field(name="AzureWebJobsStorage", default="")
    storage_account_name: str = msgspec.field(name="AzureWebJobsStorage__accountName", default="")
    storage_table_url: str = msgspec.field(name="AzureWebJobsStorage__tableServiceUri", default="")
    storage_queue_url: str = msgspec.field(name="AzureWebJobsStorage__queueServiceUri", default="")
    storage_client_id: str = msgspec.field(name="AzureWebJobsStorage__clientId", default="")
    proactive_messages_queue: str = msgspec.field(name="ProactiveMessagesQueue", default="proactive-messages")
    proactive_route: Literal["teams", "copilot"] = msgspec.field(name="ProactiveRoute", default="teams")
    proactive_service_url: str = msgspec.field(name="ProactiveServiceUrl", default="")
    allowed_service_hosts: str = msgspec.field(name="AllowedServiceHosts", default="")
    tenant_requests_per_second: int = msgspec.field(name="TenantRequestsPerSecond", default=30)
    conversation_send_limits: str = msgspec.field(
        name="ConversationSendLimits", default="7/1, 8/2, 60/30, 1800/3600"
    )
    max_activity_bytes: int = msgspec.field(name="MaxActivityBytes", default=80_000)
    ambiguous_sends: Literal["", "resend", "hold"] = msgspec.field(name="AmbiguousSends", default="")
    turn_budget_seconds: float = msgspec.field(name="TurnBudgetSeconds", default=10.0)
    digest_schedule: str = msgspec.field(name="DigestSchedule", default="0 0 8 * * *")
    retention_days: int = msgspec.field(name="RetentionDays", default=7)

    public_url: str = msgspec.field(name="PublicUrl", default="")
    callback_secret: str = msgspec.field(name="CallbackSecret", default="")

    answerer_url: str = msgspec.field(name="AnswererUrl", default="")
    answerer_key: str = msgspec.field(name="AnswererKey", default="")
    answerer_model: str = msgspec.field(name="AnswererModel", default="")

    licence_approver: str = msgspec.field(name="ApproverObjectId", default="")
    order_wait_seconds: float = msgspec.field(name="OrderWaitSeconds", default=10.0)
    order_delivery_seconds: float = msgspec.field(name="OrderDeliverySeconds", default=20.0)

    @property
    def is_development(self) -> bool:
        return self.environment.lower() == "development"

    @property
    def accepts_unsigned_turns(self) -> bool:
        """Whether turns without a token are let in at all: on a developer's machine that asks for it."""
        return not self.app_id and self.channel_auth == "off" and self.is_development

    @property
    def service_hosts(self) -> frozenset[str]:
        """The hosts of AllowedServiceHosts, which is a list with commas."""
        named = (host.strip().lower() for host in self.allowed_service_hosts.split(","))
        return frozenset(host for host in named if host)

    @property
    def tenants(self) -> frozenset[str]:
        """The tenants of AllowedTenants, in lower case."""
        named = (tenant.strip().lower() for tenant in self.allowed_tenants.split(","))
        return frozenset(tenant for tenant in named if tenant)

    @property
    def conversation_limits(self) -> tuple[tuple[int, float], ...]:
        """ConversationSendLimits: at most so many sends, in so many seconds. Raises SettingsError."""
        return tuple(_send_limit(limit) for limit in self.conversation_send_limits.split(","))

    @property
    def callback_secrets(self) -> tuple[str, ...]:
        """The secrets of CallbackSecret, the one that signs first."""
        return tuple(filter(None, (secret.strip() for secret in self.callback_secret.split(","))))

    @property
    def turn_budget(self) -> timedelta:
        return timedelta(seconds=self.turn_budget_seconds)

    @property
    def retention(self) -> timedelta:
        return timedelta(days=self.retention_days)


def setting_names() -> tuple[str, ...]:
    """The names of all app settings that the app itself reads."""
    return tuple(field.encode_name for field in msgspec.structs.fields(Settings))


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the app settings from ``environment`` (names to text; absent and empty mean the default).

    Raises SettingsError, with the setting's name in the message.
    """
    given = {name: environment[name] for name in setting_names() if environment.get(name)}
    host_name = environment.get("WEBSITE_HOSTNAME")  # of the function app, told by Azure
    if host_name and "PublicUrl" not in given:
        given["PublicUrl"] = f"https://{host_name}"
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"An app setting is not usable: {_told(error)}") from None
    _check(settings)
    return settings


def _told(error: msgspec.ValidationError) -> str:
    """What is wrong, and what the setting may be; a value is quoted only where it is one of a few words."""
    name = str(error).partition("$.")[2].strip("`")
    kind = next((field.type for field in msgspec.structs.fields(Settings) if field.encode_name == name), None)
    if get_origin(kind) is Literal:
        return f"{name} must be one of {', '.join(word or 'nothing' for word in get_args(kind))}"
    return f"{name} must be a number"


def _check(settings: Settings) -> None:
    by_identity = settings.storage_account_name or (settings.storage_table_url and settings.storage_queue_url)
    if not settings.storage_connection and not by_identity:
        raise SettingsError(
            "The app setting AzureWebJobsStorage is missing: a storage connection string, or "
            "AzureWebJobsStorage__accountName"
        )
    for host in settings.service_hosts:
        if not HOST_NAME.fullmatch(host):
            raise SettingsError(f"The app setting AllowedServiceHosts must list host names: {host} is none")
    _check_identity(settings)
    _check_who_may_come_in(settings)
    _check_callbacks(settings)
    _check_answerer(settings)
    _check_approver(settings)
    if not SMALLEST_ACTIVITY <= settings.max_activity_bytes <= LARGEST_ACTIVITY:
        raise SettingsError(
            f"The app setting MaxActivityBytes must be from {SMALLEST_ACTIVITY} to {LARGEST_ACTIVITY}"
        )
    if not 1 <= settings.tenant_requests_per_second <= MOST_REQUESTS_PER_SECOND:
        raise SettingsError(
            f"The app setting TenantRequestsPerSecond must be from 1 to {MOST_REQUESTS_PER_SECOND}"
        )
    _ = settings.conversation_limits  # which raises
    if not 2 <= settings.turn_budget_seconds <= LONGEST_BUDGET_SECONDS:
        raise SettingsError(f"The app setting TurnBudgetSeconds must be from 2 to {LONGEST_BUDGET_SECONDS}")
    if settings.retention_days < 1:
        raise SettingsError("The app setting RetentionDays must be 1 or more")
    for name, seconds in (
        ("OrderWaitSeconds", settings.order_wait_seconds),
        ("OrderDeliverySeconds", settings.order_delivery_seconds),
    ):
        if not 0 <= seconds <= LONGEST_ORDER_SECONDS:
            raise SettingsError(f"The app setting {name} must be from 0 to {LONGEST_ORDER_SECONDS}")
    for name, url in (
        ("BotOpenIdMetadata", settings.open_id_metadata_url),
        ("ProactiveServiceUrl", settings.proactive_service_url),
        ("PublicUrl", settings.public_url),
        ("AnswererUrl", settings.answerer_url),
    ):
        if url and not is_safe_url(url, settings.is_development):
            raise SettingsError(
                f"The app setting {name} must be an https URL (http: loopback, in Development)"
            )
    if settings.cloud == "China" and not (settings.proactive_service_url and settings.service_hosts):
        raise SettingsError(
            "ChannelCloud is China: ProactiveServiceUrl and AllowedServiceHosts must tell its channel"
        )


def _check_who_may_come_in(settings: Settings) -> None:
    if settings.emulator_tokens == "on" and not settings.is_development:
        raise SettingsError("The app setting EmulatorTokens may be on in Development only")
    if settings.emulator_tokens == "on" and settings.cloud == "China":
        raise SettingsError("The app setting EmulatorTokens may not be on where ChannelCloud is China")
    if settings.allowed_tenants and not settings.tenants:
        raise SettingsError("The app setting AllowedTenants names no tenant; leave it empty to let all in")
    if not all(TENANT_ID.fullmatch(tenant) for tenant in settings.tenants):
        raise SettingsError("The app setting AllowedTenants must be tenant ids (GUIDs), with commas")


def _check_approver(settings: Settings) -> None:
    if settings.licence_approver and not OBJECT_ID.fullmatch(settings.licence_approver):
        raise SettingsError("The app setting ApproverObjectId must be the Entra object id of a user (a GUID)")


def _check_callbacks(settings: Settings) -> None:
    secrets = settings.callback_secrets
    if settings.callback_secret and not 1 <= len(secrets) <= MOST_SECRETS:
        raise SettingsError("The app setting CallbackSecret must be one, or two with a comma between them")
    if any(len(secret) < SHORTEST_SECRET for secret in secrets):
        raise SettingsError(
            f"The app setting CallbackSecret must have {SHORTEST_SECRET} characters or more (each, of two)"
        )
    if SECRET_OF_THE_EXAMPLE in secrets and not settings.is_development:
        raise SettingsError(
            "The app setting CallbackSecret is that of local.settings.json.example, which everybody knows"
        )
    if re.search(r"[?#\s]", settings.public_url):
        raise SettingsError("The app setting PublicUrl must be a URL without query and fragment")


def _check_answerer(settings: Settings) -> None:
    if not re.fullmatch(r"[!-~]*", settings.answerer_key):  # a header's value, which an error would quote
        raise SettingsError("The app setting AnswererKey must have no spaces, and ASCII characters alone")
    if (settings.answerer_url or settings.answerer_key) and not settings.answerer_model:
        raise SettingsError("The app setting AnswererModel is missing: it names the model that answers")
    if settings.answerer_model and not (settings.answerer_url or settings.answerer_key):
        raise SettingsError("The app setting AnswererKey is missing: without AnswererUrl, OpenAI is asked")


def _check_identity(settings: Settings) -> None:
    """Whether the app can prove who it is, and in one way alone."""
    if not settings.app_id:
        return
    credentials = {
        "MicrosoftAppPassword": settings.app_password,
        "MicrosoftAppCertificate": settings.app_certificate,
        "MicrosoftAppFederatedClientId": settings.app_federated_client_id,
    }
    given = [name for name, value in credentials.items() if value]
    if settings.app_type == "UserAssignedMSI":
        if given:
            raise SettingsError(
                f"MicrosoftAppType is UserAssignedMSI, which needs no {' and no '.join(given)}: clear it"
            )
        return
    if len(given) > 1:
        raise SettingsError(f"The app settings {' and '.join(given)} are set: one of them is to be")
    if not given:
        raise SettingsError(f"MicrosoftAppId is set, and none of the app settings {', '.join(credentials)}")
    if settings.app_type == "SingleTenant" and not settings.app_tenant_id:
        raise SettingsError(
            "The app setting MicrosoftAppTenantId is missing: MicrosoftAppType is SingleTenant"
        )


def _send_limit(limit: str) -> tuple[int, float]:
    sends, slash, seconds = (part.strip() for part in limit.partition("/"))
    try:
        parsed = int(sends), float(seconds)
    except ValueError:
        parsed = 0, 0.0
    if not (slash and 1 <= parsed[0] <= MOST_SENDS and 0 < parsed[1] <= LONGEST_LIMIT_SECONDS):
        raise SettingsError(
            "The app setting ConversationSendLimits must be pairs of sends and seconds with commas, "
            f"such as 7/1, 60/30: up to {MOST_SENDS} sends, up to {LONGEST_LIMIT_SECONDS} seconds"
        )
    return parsed


def is_safe_url(url: str, is_development: bool) -> bool:
    """Whether ``url`` may be asked: https; http in development, and only on this very machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and is_development and is_loopback(url)


def is_loopback(url: str) -> bool:
    """Whether ``url`` leads to this very machine."""
    try:
        return urlsplit(url).hostname in LOOPBACK_HOSTS
    except ValueError:  # no URL at all
        return False
