"""Our own tokens for the Bot Connector: client credentials through msal."""

import asyncio
from datetime import timedelta
from typing import Any

import msal
import requests

from agent.ports import ChannelBusy, TokenRefused

SCOPE = "https://api.botframework.com/.default"
AUTHORITY = "https://login.microsoftonline.com"
MULTI_TENANT = "botframework.com"
TIMEOUT_SECONDS = 5.0
RETRY_AFTER = timedelta(seconds=5)


class MsalCredentials:
    """Tokens by client credentials (OAuth 2.0), cached by msal until they are about to expire.

    ``tenant_id``: the app's tenant, or MULTI_TENANT for a multi-tenant app. Bot Framework documentation,
    "Authenticate requests with the Bot Connector API", section "Bot to connector".
    """

    def __init__(self, *, app_id: str, app_password: str, tenant_id: str, http_client: Any = None) -> None:
        self._app_id = app_id
        self._app_password = app_password
        self._tenant_id = tenant_id
        self._http_client = http_client
        self._app: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def token(self) -> str | None:
        """A bearer token. Raises TokenRefused when Entra gives none, ChannelBusy when it is not reached."""
        async with self._one_at_a_time:  # msal blocks, and asks once for all who wait
            try:
                answer = await asyncio.to_thread(self._acquire)
            except requests.RequestException as error:
                raise ChannelBusy("Entra cannot be reached", retry_after=RETRY_AFTER) from error
            except (ValueError, RuntimeError):
                # What msal raises for a tenant that is not there quotes Entra's answer: it is not kept.
                raise TokenRefused("Entra does not know the app's tenant") from None
        if "access_token" not in answer:
            raise TokenRefused(f"Entra gave no token for the app: {answer.get('error', 'no reason given')}")
        token: str = answer["access_token"]
        return token

    async def forget(self) -> None:
        """The channel did not take our token: the next one is to be a fresh one."""
        async with self._one_at_a_time:
            if self._app is not None:
                await asyncio.to_thread(self._app.remove_tokens_for_client)

    def _acquire(self) -> dict[str, Any]:
        if self._app is None:
            self._app = msal.ConfidentialClientApplication(
                self._app_id,
                client_credential=self._app_password,
                authority=f"{AUTHORITY}/{self._tenant_id}",
                http_client=self._http_client,
                timeout=TIMEOUT_SECONDS,
            )
        answer: dict[str, Any] = self._app.acquire_token_for_client(scopes=[SCOPE])
        return answer


class NoCredentials:
    """Unsigned sends: the Agents Playground takes them, no other channel does."""

    async def token(self) -> str | None:
        return None

    async def forget(self) -> None:
        return
