"""Our own tokens: msal's real code, its HTTP answered here."""

import asyncio
import json
from typing import Any

import pytest
import requests

from adapters.credentials import MULTI_TENANT, MsalCredentials
from agent.ports import ChannelBusy, TokenRefused

TENANT = "11111111-1111-4111-8111-111111111111"


class Answer:
    def __init__(self, body: dict[str, Any], status_code: int = 200) -> None:
        self.status_code = status_code
        self.text = json.dumps(body)
        self.headers: dict[str, str] = {}

    def raise_for_status(self) -> None:
        assert self.status_code < 400


class Entra:
    """msal's http_client: OpenID discovery and the token endpoint."""

    def __init__(self, token_answer: Answer) -> None:
        self._token_answer = token_answer
        self.asked: list[dict[str, Any]] = []

    def get(self, url: str, **_: Any) -> Answer:
        base = url.partition("/v2.0")[0]
        return Answer(
            {
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "issuer": f"{base}/v2.0",
                "tenant_discovery_endpoint": url,
                "metadata": [],
            }
        )

    def post(self, url: str, data: Any = None, **_: Any) -> Answer:
        self.asked.append({"url": url, **(data or {})})
        return self._token_answer

    def close(self) -> None:
        return


def credentials(entra: Entra, tenant_id: str = TENANT) -> MsalCredentials:
    return MsalCredentials(app_id="app", app_password="s3cret", tenant_id=tenant_id, http_client=entra)


@pytest.mark.parametrize("tenant_id", [TENANT, MULTI_TENANT])
async def test_a_token_is_got_by_client_credentials_for_the_bot_connector(tenant_id: str) -> None:
    entra = Entra(Answer({"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"}))
    assert await credentials(entra, tenant_id).token() == "t-1"
    (asked,) = entra.asked
    assert asked["url"] == f"https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token"
    assert asked["grant_type"] == "client_credentials"
    assert asked["scope"] == "https://api.botframework.com/.default"


async def test_many_who_ask_at_once_cause_one_request() -> None:
    entra = Entra(Answer({"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"}))
    source = credentials(entra)
    assert await asyncio.gather(*(source.token() for _ in range(5))) == ["t-1"] * 5
    assert len(entra.asked) == 1


async def test_a_refusal_names_the_error_and_no_secret() -> None:
    entra = Entra(Answer({"error": "invalid_client", "error_description": "s3cret is wrong"}, 401))
    with pytest.raises(TokenRefused, match="invalid_client") as caught:
        await credentials(entra).token()
    assert "s3cret" not in str(caught.value)


async def test_a_tenant_that_is_not_there_is_a_refusal_and_entras_words_are_not_told() -> None:
    class NoSuchTenant(Entra):
        def get(self, url: str, **_: Any) -> Answer:
            return Answer({"error": "invalid_tenant", "error_description": "s3cret tenant not found"}, 400)

    with pytest.raises(TokenRefused, match="tenant") as caught:
        await credentials(NoSuchTenant(Answer({}))).token()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_an_entra_that_cannot_be_reached_is_to_be_asked_again() -> None:
    class Unreachable(Entra):
        def post(self, url: str, data: Any = None, **_: Any) -> Answer:
            raise requests.ConnectionError("no route")

    with pytest.raises(ChannelBusy):
        await credentials(Unreachable(Answer({}))).token()


async def test_a_token_that_was_not_taken_is_not_given_again() -> None:
    entra = Entra(Answer({"access_token": "t-1", "expires_in": 3600, "token_type": "Bearer"}))
    source = credentials(entra)
    await source.forget()
    await source.token()
    await source.token()
    assert len(entra.asked) == 1
    await source.forget()
    await source.token()
    assert len(entra.asked) == 2
