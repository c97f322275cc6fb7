"""Who gives us our token: msal's real code, against Entra and managed identity endpoints on loopback."""

import base64
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
import requests
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from adapters.clouds import CLOUDS, PUBLIC, CloudName
from adapters.credentials import AskedToWait, CachedCredentials
from adapters.entra import EntraApp, ManagedIdentity, certificate, federated, secret
from agent.ports import ChannelBusy, TokenRefused
from tests.contract.entra_server import IDENTITY_HEADER, EntraServer, entra_server

APP = "22222222-2222-4222-8222-222222222222"
TENANT = "11111111-1111-4111-8111-111111111111"
IDENTITY = "33333333-3333-4333-8333-333333333333"
TOKEN_URL = f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"


@pytest.fixture
async def entra() -> AsyncIterator[EntraServer]:
    async with entra_server() as server:
        yield server


@pytest.fixture
def on_functions(entra: EntraServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{entra.url}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)


SECRET = secret("s3cret")


def app(entra: EntraServer, credential: Any = SECRET, **how: Any) -> CachedCredentials:
    given = {"tenant_id": TENANT, "cloud": PUBLIC, **how}
    registered = EntraApp(app_id=APP, credential=credential, session=entra.session(), **given)
    return CachedCredentials(registered.fetch)


async def test_a_client_secret_gets_a_token_for_the_bot_connector(entra: EntraServer) -> None:
    assert await app(entra).token() == "token-1"
    (asked,) = entra.asked
    assert asked["url"] == TOKEN_URL
    assert asked["grant_type"] == "client_credentials"
    assert asked["client_id"] == APP
    assert asked["client_secret"] == "s3cret"
    assert asked["scope"] == "https://api.botframework.com/.default"


@pytest.mark.parametrize(
    ("cloud", "login", "multi_tenant", "resource"),
    [
        ("Public", "login.microsoftonline.com", "botframework.com", "https://api.botframework.com"),
        ("GCC", "login.microsoftonline.com", "botframework.com", "https://api.botframework.com"),
        (
            "GCCHigh",
            "login.microsoftonline.us",
            "MicrosoftServices.onmicrosoft.us",
            "https://api.botframework.us",
        ),
        (
            "DoD",
            "login.microsoftonline.us",
            "MicrosoftServices.onmicrosoft.us",
            "https://api.botframework.us",
        ),
        (
            "China",
            "login.partner.microsoftonline.cn",
            "microsoftservices.partner.onmschina.cn",
            "https://api.botframework.azure.cn",
        ),
    ],
)
async def test_each_cloud_has_its_own_entra_and_its_own_bot_connector(
    entra: EntraServer, cloud: CloudName, login: str, multi_tenant: str, resource: str
) -> None:
    await app(entra, cloud=CLOUDS[cloud]).token()
    await app(entra, cloud=CLOUDS[cloud], tenant_id=CLOUDS[cloud].multi_tenant).token()
    assert [asked["url"] for asked in entra.asked] == [
        f"https://{login}/{TENANT}/oauth2/v2.0/token",
        f"https://{login}/{multi_tenant}/oauth2/v2.0/token",
    ]
    assert {asked["scope"] for asked in entra.asked} == {f"{resource}/.default"}


def self_signed(key: Any) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "afterword")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CERTIFICATE = self_signed(KEY)
OTHER = self_signed(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def key_pem(key: Any = KEY, form: PrivateFormat = PrivateFormat.PKCS8) -> str:
    return str(key.private_bytes(Encoding.PEM, form, NoEncryption()).decode())


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


def pfx(others: list[x509.Certificate] | None = None) -> str:
    packed = pkcs12.serialize_key_and_certificates(b"afterword", KEY, CERTIFICATE, others, NoEncryption())
    return base64.b64encode(packed).decode()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(key_pem() + pem(CERTIFICATE), id="pem"),
        pytest.param(
            pem(CERTIFICATE) + key_pem(form=PrivateFormat.TraditionalOpenSSL), id="certificate-first"
        ),
        pytest.param(pem(OTHER) + pem(CERTIFICATE) + key_pem(), id="issuer-first"),
        pytest.param((key_pem() + pem(CERTIFICATE)).replace("\n", "\\n"), id="pem-in-one-line"),
        pytest.param(pfx(), id="pfx"),
        pytest.param(pfx([OTHER]), id="pfx-with-issuer"),
    ],
)
async def test_a_certificate_signs_an_assertion_and_is_sent_along(entra: EntraServer, text: str) -> None:
    assert await app(entra, certificate(text)).token() == "token-1"
    (asked,) = entra.asked
    assert "client_secret" not in asked
    assert asked["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    assertion = asked["client_assertion"]
    claims = jwt.decode(assertion, KEY.public_key(), algorithms=["PS256"], audience=TOKEN_URL)
    assert (claims["iss"], claims["sub"]) == (APP, APP)
    header = jwt.get_unverified_header(assertion)
    thumbprint = base64.urlsafe_b64decode(header["x5t#S256"] + "==")
    assert thumbprint == CERTIFICATE.fingerprint(hashes.SHA256())
    (sent,) = header["x5c"]
    assert x509.load_der_x509_certificate(base64.b64decode(sent)) == CERTIFICATE


ELLIPTIC = ec.generate_private_key(ec.SECP256R1())


@pytest.mark.parametrize(
    "text",
    [
        "s3cret",
        "",
        base64.b64encode(b"s3cret").decode(),
        key_pem(),
        pem(CERTIFICATE),
        key_pem() + pem(OTHER),
        key_pem(ELLIPTIC) + pem(self_signed(ELLIPTIC)),
        "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n",
    ],
)
async def test_a_certificate_that_is_none_is_named_and_not_quoted(entra: EntraServer, text: str) -> None:
    with pytest.raises(TokenRefused, match="MicrosoftAppCertificate") as caught:
        await app(entra, certificate(text)).token()
    assert "s3cret" not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
    assert entra.asked == []


@pytest.mark.parametrize(
    ("cloud", "audience"),
    [
        ("Public", "api://AzureADTokenExchange"),
        ("GCC", "api://AzureADTokenExchange"),
        ("GCCHigh", "api://AzureADTokenExchangeUSGov"),
        ("DoD", "api://AzureADTokenExchangeUSGov"),
        ("China", "api://AzureADTokenExchangeChina"),
    ],
)
@pytest.mark.usefixtures("on_functions")
async def test_a_managed_identity_vouches_for_the_app_in_its_cloud(
    entra: EntraServer, cloud: CloudName, audience: str
) -> None:
    credential = federated(IDENTITY, cloud=CLOUDS[cloud])
    source = app(entra, credential, cloud=CLOUDS[cloud])
    assert await source.token() == "token-1"
    await source.forget("token-1")
    assert await source.token() == "token-2"
    assert [asked["client_assertion"] for asked in entra.asked] == ["identity-1", "identity-2"]
    assert {asked["client_id"] for asked in entra.asked} == {APP}
    for asked in entra.identities:
        assert (asked["client_id"], asked["resource"]) == (IDENTITY, audience)


@pytest.mark.usefixtures("on_functions")
async def test_an_identity_that_does_not_vouch_is_a_refusal(entra: EntraServer) -> None:
    entra.answers.append(web.json_response({"statusCode": 400, "message": "s3cret"}, status=400))
    with pytest.raises(TokenRefused, match="managed identity") as caught:
        await app(entra, federated(IDENTITY, cloud=PUBLIC)).token()
    assert "s3cret" not in str(caught.value)


@pytest.mark.usefixtures("on_functions")
async def test_a_managed_identity_speaks_for_itself_on_functions(entra: EntraServer) -> None:
    source = CachedCredentials(ManagedIdentity(IDENTITY, resource=PUBLIC.resource).fetch)
    assert await source.token() == "identity-1"
    (asked,) = entra.identities
    assert (asked["client_id"], asked["resource"]) == (IDENTITY, "https://api.botframework.com")


async def test_a_managed_identity_speaks_for_itself_on_a_virtual_machine(
    entra: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", entra.url)
    source = CachedCredentials(ManagedIdentity(IDENTITY, resource=PUBLIC.resource).fetch)
    assert await source.token() == "identity-1"
    (asked,) = entra.identities
    assert (asked["client_id"], asked["resource"]) == (IDENTITY, "https://api.botframework.com")


async def test_a_refusal_names_entras_code_and_number_and_not_its_prose(entra: EntraServer) -> None:
    told = {"error": "invalid_client", "error_description": "s3cret is wrong", "error_codes": [7000215]}
    entra.answers.append(web.json_response(told, status=401))
    with pytest.raises(TokenRefused, match=r"invalid_client \(AADSTS7000215\)") as caught:
        await app(entra).token()
    assert "s3cret" not in str(caught.value)


async def test_a_tenant_that_is_not_there_is_a_refusal_and_entras_words_are_not_told(
    entra: EntraServer,
) -> None:
    entra.knows_tenant = False
    with pytest.raises(TokenRefused, match="tenant") as caught:
        await app(entra).token()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("told", ["soon", None, "1e400", {"in": 5}])
async def test_a_token_whose_lifetime_is_not_told_is_used_once(entra: EntraServer, told: Any) -> None:
    answer = {"access_token": "brief", "token_type": "Bearer", "expires_in": told, "refresh_on": told}
    entra.answers.append(web.json_response(answer))
    source = app(entra)
    assert await source.token() == "brief"
    assert await source.token() == "token-2"


async def test_a_redirect_is_not_followed_with_the_secret(entra: EntraServer) -> None:
    entra.answers.append(
        web.Response(status=307, headers={"Location": f"https://evil.example/{TENANT}/oauth2/v2.0/token"})
    )
    with pytest.raises(ChannelBusy, match="307"):
        await app(entra).token()
    assert [urlsplit(asked["url"]).hostname for asked in entra.asked] == ["login.microsoftonline.com"]


async def test_an_entra_that_cannot_be_reached_is_to_be_asked_again() -> None:
    async with entra_server() as gone:
        source = app(gone)
    with pytest.raises(ChannelBusy, match="reached"):
        await source.token()


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        ({"status": 429, "headers": {"Retry-After": "17"}}, 17),
        ({"status": 503, "headers": {"Retry-After": "99999"}}, 3600),
        ({"status": 503, "headers": {"Retry-After": "9" * 5000}}, 3600),
    ],
)
async def test_an_entra_that_asks_to_wait_is_not_asked_before(
    entra: EntraServer, answer: dict[str, Any], waits: int
) -> None:
    source = app(entra)
    entra.answers.append(web.json_response({"error": "temporarily_unavailable"}, **answer))
    with pytest.raises(AskedToWait) as caught:
        await source.token()
    assert caught.value.retry_after == timedelta(seconds=waits)
    with pytest.raises(ChannelBusy) as told:
        await source.token()
    assert timedelta(seconds=waits - 10) < told.value.retry_after <= timedelta(seconds=waits)
    assert len(entra.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500, "text": "{}"},
        {"status": 502, "text": "<html>"},
        {"status": 200, "text": "<html>a proxy's page</html>"},
        {"status": 302, "headers": {"Location": "https://evil.example/"}},
    ],
)
async def test_an_entra_that_falters_may_be_asked_again_at_once(
    entra: EntraServer, answer: dict[str, Any]
) -> None:
    source = app(entra)
    entra.answers.append(web.Response(**answer))
    with pytest.raises(ChannelBusy):
        await source.token()
    assert await source.token() == "token-2"


@pytest.mark.usefixtures("on_functions")
async def test_neither_secret_nor_token_nor_key_is_ever_logged(
    entra: EntraServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told = {"error": "invalid_client", "error_description": "s3cret is wrong"}
    entra.answers.append(web.json_response(told, status=401))
    with pytest.raises(TokenRefused):
        await app(entra).token()
    held = [
        await app(entra).token(),
        await app(entra, certificate(pfx())).token(),
        await app(entra, federated(IDENTITY, cloud=PUBLIC)).token(),
        await CachedCredentials(ManagedIdentity(IDENTITY, resource=PUBLIC.resource).fetch).token(),
    ]
    assertions = [asked["client_assertion"] for asked in entra.asked if "client_assertion" in asked]
    assert len(assertions) == 2
    assert "invalid_client" in caplog.text
    secrets = ["s3cret", IDENTITY_HEADER, "PRIVATE KEY", pfx(), *held, *assertions]
    assert [told for told in secrets if told in caplog.text] == []


async def test_requests_are_bounded_in_time(entra: EntraServer) -> None:
    bounds: list[Any] = []

    class Watched(requests.Session):
        def request(self, *args: Any, **kwargs: Any) -> requests.Response:
            bounds.append(kwargs.get("timeout"))
            return super().request(*args, **kwargs)

    session = Watched()
    session.mount("https://", entra.session().get_adapter("https://"))
    registered = EntraApp(
        app_id=APP, tenant_id=TENANT, cloud=PUBLIC, credential=secret("s3cret"), session=session
    )
    await CachedCredentials(registered.fetch).token()
    assert bounds == [5.0, 5.0]
