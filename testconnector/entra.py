"""A token endpoint as Entra has one, as much of it as msal's client credentials ask for."""

import json
import re
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import parse_qs, urlencode

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


class RedirectedHttp:
    """An ``http_client`` for msal that asks the test connector at ``base_url`` wherever msal asks Entra.

    msal takes no authority but an https one.
    """

    def __init__(self, base_url: str, *, timeout: float = 5.0) -> None:
        self._base_url = base_url
        self._timeout = timeout

    def get(self, url: str, params: dict[str, str] | None = None, **_: Any) -> "_Response":
        return self._ask(url + (f"?{urlencode(params)}" if params else ""), None)

    def post(self, url: str, data: Any = None, **_: Any) -> "_Response":
        text = data if isinstance(data, str) else urlencode(data or {})
        return self._ask(url, text.encode())

    def close(self) -> None:
        return

    def _ask(self, url: str, body: bytes | None) -> "_Response":
        if not url.startswith(f"{ENTRA}/"):
            raise ValueError(f"msal asks for something that is not Entra's: {url}")
        here = self._base_url + url.removeprefix(ENTRA)
        try:
            with urllib.request.urlopen(here, body, self._timeout) as answer:
                return _Response(answer.status, answer.read().decode(), dict(answer.headers))
        except urllib.error.HTTPError as error:
            with error:
                return _Response(error.code, error.read().decode(), dict(error.headers))


class _Response:
    """What msal reads of an answer."""

    def __init__(self, status_code: int, text: str, headers: dict[str, str]) -> None:
        self.status_code = status_code
        self.text = text
        self.headers = headers

    def json(self) -> Any:
        return json.loads(self.text)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise OSError(f"HTTP {self.status_code}")
