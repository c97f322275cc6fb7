"""Microsoft's clouds: where each gives tokens, for what, and which hosts its channel has."""

from typing import Literal

import msgspec

CloudName = Literal["Public", "GCC", "GCCHigh", "DoD", "China"]


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """What differs from cloud to cloud for an agent that speaks to the channel."""

    login: str  # Entra
    multi_tenant: str  # the tenant that gives tokens to multi-tenant bots
    resource: str  # the Bot Connector, as Entra names it
    exchange_audience: str  # the audience of a managed identity's token that vouches for an app
    hosts: frozenset[str]  # the Bot Connector's hosts: our tokens go there and nowhere else
    service_url: str  # the Bot Connector, as long as no turn has told a nearer one; empty: only turns tell it
    # By host, where a tenant is that this host does not serve (403 InvalidBotApiHost).
    other_service_urls: dict[str, str] = {}

    @property
    def scope(self) -> str:
        return f"{self.resource}/.default"


_PUBLIC_HOST, _GCC_HOST = "smba.trafficmanager.net", "smba.infra.gcc.teams.microsoft.com"
_PUBLIC_TEAMS, _GCC_TEAMS = f"https://{_PUBLIC_HOST}/teams/", f"https://{_GCC_HOST}/teams/"

# Entra and audiences: Bot Framework documentation, "Authenticate requests with the Bot Connector API",
# "Configure Bot Framework bots for US Government customers" and "... for Azure operated by 21Vianet"; Entra
# documentation, "Configure an application to trust a managed identity". Hosts: Teams documentation, "Send
# proactive messages", section "Get the service URL"; and the channels that Bot Framework itself serves.
PUBLIC = Cloud(
    login="https://login.microsoftonline.com",
    multi_tenant="botframework.com",
    resource="https://api.botframework.com",
    exchange_audience="api://AzureADTokenExchange",
    # Tenants of GCC are in the public Entra: a bot has one token for both, and may find its user in either.
    hosts=frozenset({_PUBLIC_HOST, _GCC_HOST, "directline.botframework.com", "webchat.botframework.com"}),
    service_url=_PUBLIC_TEAMS,
    other_service_urls={_PUBLIC_HOST: _GCC_TEAMS, _GCC_HOST: _PUBLIC_TEAMS},
)
GCC = msgspec.structs.replace(PUBLIC, service_url=_GCC_TEAMS)
GCC_HIGH = Cloud(
    login="https://login.microsoftonline.us",
    multi_tenant="MicrosoftServices.onmicrosoft.us",
    resource="https://api.botframework.us",
    exchange_audience="api://AzureADTokenExchangeUSGov",
    hosts=frozenset({"smba.infra.gov.teams.microsoft.us"}),
    service_url="https://smba.infra.gov.teams.microsoft.us/teams/",
)
DOD = msgspec.structs.replace(
    GCC_HIGH,
    hosts=frozenset({"smba.infra.dod.teams.microsoft.us"}),
    service_url="https://smba.infra.dod.teams.microsoft.us/teams/",
)
CHINA = Cloud(
    login="https://login.partner.microsoftonline.cn",
    multi_tenant="microsoftservices.partner.onmschina.cn",
    resource="https://api.botframework.azure.cn",
    exchange_audience="api://AzureADTokenExchangeChina",
    hosts=frozenset(),  # no document names them: AllowedServiceHosts does
    service_url="",
)

CLOUDS: dict[CloudName, Cloud] = {
    "Public": PUBLIC,
    "GCC": GCC,
    "GCCHigh": GCC_HIGH,
    "DoD": DOD,
    "China": CHINA,
}
