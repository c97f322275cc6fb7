"""The TokenValidator port: did the channel sign this turn?"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import requests
from botframework.connector.auth import (
    AuthenticationConstants,
    ChannelValidation,
    JwtTokenExtractor,
    SimpleCredentialProvider,
)

from agent.ports import KeysUnavailable, NotAuthenticated, NotAuthorized

TIMEOUT_SECONDS = 5.0
KEYS_HOLD = timedelta(hours=1)


class ChannelTokenValidator:
    """Turns must carry a token of Bot Framework for our app id.

    Bot Framework documentation, "Authenticate requests with the Bot Connector API", section "Connector to
    bot". Tokens of the emulator, which botframework-connector lets in by default, are refused: only its
    validation of channel tokens is asked.
    """

    def __init__(self, *, app_id: str, open_id_metadata_url: str = "") -> None:
        self._credentials = SimpleCredentialProvider(app_id, "")
        self._metadata_url = (
            open_id_metadata_url or AuthenticationConstants.TO_BOT_FROM_CHANNEL_OPENID_METADATA_URL
        )
        ChannelValidation.open_id_metadata_endpoint = self._metadata_url

    async def validate(self, authorization: str | None, *, channel_id: str, service_url: str) -> None:
        if not authorization:
            raise NotAuthenticated("the request carries no token")
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                # The library fetches the keys with blocking calls, hence the thread.
                await asyncio.to_thread(asyncio.run, self._validate(authorization, channel_id, service_url))
        except (requests.RequestException, TimeoutError) as error:
            raise KeysUnavailable("the channel's signing keys cannot be fetched") from error

    async def _validate(self, authorization: str, channel_id: str, service_url: str) -> None:
        keys = JwtTokenExtractor.get_open_id_metadata(self._metadata_url)
        try:
            try:
                await self._ask_library(authorization, channel_id, service_url)
            except IndexError:  # an unknown key: they may have been changed. At most once an hour
                if keys.last_updated > datetime.now() - KEYS_HOLD:
                    raise
                keys.last_updated = datetime.min
                await self._ask_library(authorization, channel_id, service_url)
        except requests.RequestException:
            raise
        except Exception as error:
            # The library raises bare Exception, and whatever jwt raises.
            raise NotAuthorized("the token is not one of the channel's for this agent") from error

    async def _ask_library(self, authorization: str, channel_id: str, service_url: str) -> None:
        await ChannelValidation.authenticate_channel_token_with_service_url(
            authorization, self._credentials, service_url, channel_id
        )


class UnsignedTurns:
    """Turns without a token, from this machine only: for the Agents Playground in development."""

    def __init__(self, *, is_loopback: Callable[[str], bool]) -> None:
        self._is_loopback = is_loopback

    async def validate(self, authorization: str | None, *, channel_id: str, service_url: str) -> None:
        if not self._is_loopback(service_url):
            raise NotAuthorized("without an app id only turns with a loopback service URL are let in")


class NoTurns:
    """Nobody is let in: there is no app id to check a token against."""

    async def validate(self, authorization: str | None, *, channel_id: str, service_url: str) -> None:
        raise NotAuthorized("MicrosoftAppId is not set, so no turn can be authenticated")
