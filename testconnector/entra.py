"""A token endpoint as Entra has one, as much of it as msal's client credentials ask for."""

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter

from testconnector.answers import Answer, json_answer

ENTRA = "https://login.microsoftonline.com"
_OPEN_ID = re.compile(r"/([^/]+)/v2\.0/\.well-known/openid-configuration")
_TOKEN = re.compile(r"/([^/]+)/oauth2/v2\.0/token")
_DISCOVERY = "/common/discovery/instance"


class TokenEndpoint:
    """Gives ``<prefix><number>`` to everybody who has a secret, unless it is told to refuse.

    ``asked``: how many tokens were asked for. ``refuses_with``: an OAuth error such as invalid_client.
    """

    def __init__(self, *, prefix: str, lifetime: int = 3600) -> None:
        self._prefix = prefix
        self._lifetime = lifetime
        self.asked = 0
        self.refuses_with: str | None = None

    def answer(self, method: str, path: str, body: bytes) -> Answer | None:
        """The answer to one of Entra's paths; None for any other path."""
        if method == "POST" and _TOKEN.fullmatch(path):
            return self._token(parse_qs(body.decode("utf-8", "replace")))
        if found := _OPEN_ID.fullmatch(path):
            base = f"{ENTRA}/{found[1]}"
            return json_answer(
                200,
                {
                    "issuer": f"{base}/v2.0",
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "jwks_uri": f"{base}/discovery/v2.0/keys",
                },
            )
        if path == _DISCOVERY:
            discovered = f"{ENTRA}/common/v2.0/.well-known/openid-configuration"
            return json_answer(200, {"tenant_discovery_endpoint": discovered, "metadata": []})
        return None

    def _token(self, form: dict[str, list[str]]) -> Answer:
        self.asked += 1
        refusal = self.refuses_with
        if form.get("grant_type") != ["client_credentials"]:
            refusal = "unsupported_grant_type"
        elif not form.get("client_id") or not (form.get("client_secret") or form.get("client_assertion")):
            refusal = "invalid_client"
        if refusal:
            told = {"error": refusal, "error_description": "The test connector gives no token."}
            return json_answer(401 if refusal == "invalid_client" else 400, told)
        token = f"{self._prefix}{self.asked}"
        told_token = {"token_type": "Bearer", "expires_in": self._lifetime, "access_token": token}
        return json_answer(200, told_token)


def redirected_session(base_url: str) -> requests.Session:
    """An ``http_client`` for msal that asks the server at ``base_url`` wherever an https host is meant, such
    as Entra's: msal takes no authority but an https one."""
    session = requests.Session()
    session.mount("https://", _Redirected(base_url))
    return session


class _Redirected(HTTPAdapter):
    """Says in the header X-Meant-For whom a request was meant for."""

    def __init__(self, base_url: str) -> None:
        super().__init__()
        self._netloc = urlsplit(base_url).netloc

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        assert request.url is not None
        request.headers["X-Meant-For"] = request.url
        request.url = urlunsplit(("http", self._netloc, *urlsplit(request.url)[2:]))
        return super().send(request, *args, **{**kwargs, "proxies": {}})
