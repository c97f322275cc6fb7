"""Who gives us our token: Entra to an app registration, or Azure to a managed identity; both through msal."""

import re
import time
from collections.abc import Callable
from datetime import timedelta
from math import isfinite
from typing import Any

import msal
import requests

from adapters.app_certificate import client_credential
from adapters.clouds import Cloud
from adapters.credentials import RETRY_AFTER, AskedToWait, FetchedToken
from agent.ports import ChannelBusy, TokenRefused

TIMEOUT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 3600


class EntraApp:
    """An app registration. ``credential`` makes what msal takes as the app's ``client_credential``, at first
    use. ``tenant_id``: the app's own, or the cloud's ``multi_tenant``."""

    def __init__(
        self,
        *,
        app_id: str,
        tenant_id: str,
        cloud: Cloud,
        credential: Callable[[], Any],
        session: requests.Session | None = None,
    ) -> None:
        self._app_id = app_id
        self._authority = f"{cloud.login}/{tenant_id}"
        self._scope = cloud.scope
        self._credential = credential
        self._http = _Http(session)
        self._app: Any = None

    def fetch(self) -> FetchedToken:
        """A fresh token. Raises TokenRefused, ChannelBusy."""
        if self._app is None:
            self._app = self._registered()
        answer = self._http.ask(lambda: self._app.acquire_token_for_client(scopes=[self._scope]))
        return _fetched(answer, "Entra gave no token for the app")

    def _registered(self) -> Any:
        try:
            credential = self._credential()
        except ValueError as error:
            raise TokenRefused(f"MicrosoftAppCertificate is not usable: {error}") from None
        try:
            return self._http.ask(
                lambda: msal.ConfidentialClientApplication(
                    self._app_id,
                    client_credential=credential,
                    authority=self._authority,
                    instance_discovery=False,  # the authorities are Microsoft's own, and named in clouds.py
                    http_client=self._http,
                    token_cache=_NoCache(),
                )
            )
        except ValueError:
            # What msal raises for a tenant that is not there quotes Entra's answer: it is not kept.
            raise TokenRefused("Entra does not know the app's tenant") from None


class ManagedIdentity:
    """The user-assigned managed identity ``client_id``, or the system-assigned one where it is empty; on
    Functions and wherever else msal finds one."""

    def __init__(self, client_id: str, *, resource: str, session: requests.Session | None = None) -> None:
        self._resource = resource
        self._http = _Http(session)
        self._client = msal.ManagedIdentityClient(
            msal.UserAssignedManagedIdentity(client_id=client_id)
            if client_id
            else msal.SystemAssignedManagedIdentity(),
            http_client=self._http,
            token_cache=_NoCache(),
        )

    def fetch(self) -> FetchedToken:
        """A token: Azure keeps it, and may give the same one again. Raises TokenRefused, ChannelBusy."""
        answer = self._http.ask(lambda: self._client.acquire_token_for_client(resource=self._resource))
        return _fetched(answer, "Azure gave no token for the managed identity")


def secret(app_password: str) -> Callable[[], Any]:
    return lambda: app_password


def certificate(text: str) -> Callable[[], Any]:
    return lambda: client_credential(text)


def federated(client_id: str, *, cloud: Cloud, session: requests.Session | None = None) -> Callable[[], Any]:
    """The managed identity ``client_id`` vouches for the app: its token is the app's assertion."""
    identity = ManagedIdentity(client_id, resource=cloud.exchange_audience, session=session)
    return lambda: {"client_assertion": lambda: identity.fetch().token}


class _NoCache(msal.TokenCache):  # type: ignore[misc] # msal ships no types
    """Keeps nothing: CachedCredentials does, and what it asks for is to be fresh."""

    def add(self, event: dict[str, Any], now: float | None = None) -> None:
        return


class _Http:
    """What msal makes its requests with: bounded in time; an answer that is none is an error here, for msal
    would hand it on without its status and Retry-After."""

    def __init__(self, session: requests.Session | None) -> None:
        self._session = session or requests.Session()

    def get(self, url: str, **kwargs: Any) -> requests.Response:
        return self._checked(self._session.get(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **kwargs))

    def post(self, url: str, **kwargs: Any) -> requests.Response:
        return self._checked(
            self._session.post(url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **kwargs)
        )

    def close(self) -> None:
        self._session.close()

    def ask(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except requests.RequestException as error:
            # Its message names host and path, and neither header nor body.
            raise ChannelBusy("no token: its giver cannot be reached", retry_after=RETRY_AFTER) from error

    @staticmethod
    def _checked(response: requests.Response) -> requests.Response:
        status = response.status_code
        said = f"no token: its giver answered {status}"
        if status == 429 or status >= 500 or status == 410:  # 410: a managed identity that is being updated
            wait = response.headers.get("Retry-After", "")
            if wait.isdecimal():
                seconds = min(int(wait[:9]), LONGEST_WAIT_SECONDS)
                raise AskedToWait(said, retry_after=timedelta(seconds=seconds))
            raise ChannelBusy(said, retry_after=RETRY_AFTER)
        if not _is_object(response):  # a proxy's page
            raise ChannelBusy(f"{said} and no JSON", retry_after=RETRY_AFTER)
        return response


def _is_object(response: requests.Response) -> bool:
    try:
        return isinstance(response.json(), dict)
    except ValueError:
        return False


def _fetched(answer: dict[str, Any], refusal: str) -> FetchedToken:
    token = answer.get("access_token")
    if not isinstance(token, str) or not token:
        raise TokenRefused(f"{refusal}: {_reason(answer)}")
    refresh_on = _seconds(answer.get("refresh_on"))
    return FetchedToken(
        token=token,
        seconds=_seconds(answer.get("expires_in")),
        refresh_after_seconds=max(refresh_on - time.time(), 0.0) or None,
    )


def _seconds(told: Any) -> float:
    """A number, or text of one; 0 where it is none, and so a token that is used once."""
    try:
        seconds = float(told)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return seconds if isfinite(seconds) else 0.0


def _reason(answer: dict[str, Any]) -> str:
    """The error's code and Entra's numbers for it, which its documentation explains; never its prose."""
    code = str(answer.get("error", ""))
    numbers = answer.get("error_codes")
    named = code if re.fullmatch(r"[A-Za-z_]{1,64}", code) else "no reason given"
    told = [f"AADSTS{n}" for n in numbers if isinstance(n, int)] if isinstance(numbers, list) else []
    return f"{named} ({', '.join(told)})" if told else named
