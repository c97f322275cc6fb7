"""Who signs the tokens that come in, in each of Microsoft's clouds."""

import msgspec


class Issuer(msgspec.Struct, frozen=True, kw_only=True):
    """``names`` are what its tokens say in ``iss``; ``metadata_url`` leads to its keys."""

    names: frozenset[str]
    metadata_url: str


PUBLIC_CHANNEL = Issuer(
    names=frozenset({"https://api.botframework.com"}),
    metadata_url="https://login.botframework.com/v1/.well-known/openidconfiguration",
)
US_GOVERNMENT_CHANNEL = Issuer(
    names=frozenset({"https://api.botframework.us"}),
    metadata_url="https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
)
CHINA_CHANNEL = Issuer(
    names=frozenset({"https://api.botframework.azure.cn"}),
    metadata_url="https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
)

# By the values of ChannelCloud. The bots of GCC live in the public Azure.
CHANNELS = {
    "Public": PUBLIC_CHANNEL,
    "GCC": PUBLIC_CHANNEL,
    "GCCHigh": US_GOVERNMENT_CHANNEL,
    "DoD": US_GOVERNMENT_CHANNEL,
    "China": CHINA_CHANNEL,
}

# The tenants from which the emulator gets its tokens for multi-tenant bots.
BOT_FRAMEWORK_TENANTS = (
    "d6d49420-f39b-4df7-a1dc-d59a935871db",
    "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
    "69e9b82d-4842-4902-8d1e-abc5b98a55e8",
)
US_GOVERNMENT_TENANT = "cab8a31a-1906-4287-a0d8-4eef66b95f6e"


def emulator_issuer(cloud: str, *, app_tenant_id: str) -> Issuer:
    """Entra, of whom an app gets tokens for itself: in Bot Framework's tenants, or in its own."""
    if cloud in ("GCCHigh", "DoD"):
        login, authority = "https://login.microsoftonline.us", US_GOVERNMENT_TENANT
        tenants = [US_GOVERNMENT_TENANT, *BOT_FRAMEWORK_TENANTS]
    else:
        login, authority = "https://login.microsoftonline.com", "botframework.com"
        tenants = [*BOT_FRAMEWORK_TENANTS]
    if app_tenant_id:
        tenants.append(app_tenant_id.lower())
    names = [
        name
        for tenant in tenants
        for name in (f"https://sts.windows.net/{tenant}/", f"{login}/{tenant}/v2.0")
    ]
    return Issuer(
        names=frozenset(names), metadata_url=f"{login}/{authority}/v2.0/.well-known/openid-configuration"
    )
