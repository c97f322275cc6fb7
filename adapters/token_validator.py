"""The TokenValidator port: did the channel sign this turn?"""

import asyncio
from collections.abc import Callable

import requests
from botframework.connector.auth import ChannelValidation, SimpleCredentialProvider

from agent.ports import NotAuthenticated, NotAuthorized


class ChannelTokenValidator:
    """Turns must carry a token of Bot Framework for our app id.

    Bot Framework documentation, "Authenticate requests with the Bot Connector API", section "Connector to
    bot". Tokens of the emulator, which botframework-connector lets in by default, are refused: only its
    validation of channel tokens is asked.
    """

    def __init__(self, *, app_id: str, open_id_metadata_url: str = "") -> None:
        self._credentials = SimpleCredentialProvider(app_id, "")
        if open_id_metadata_url:
            ChannelValidation.open_id_metadata_endpoint = open_id_metadata_url

    async def validate(self, authorization: str | None, *, channel_id: str, service_url: str) -> None:
        if not authorization:
            raise NotAuthenticated("the request carries no token")
        # The library fetches the keys with blocking calls, hence the thread.
        await asyncio.to_thread(asyncio.run, self._validate(authorization, channel_id, service_url))

    async def _validate(self, authorization: str, channel_id: str, service_url: str) -> None:
        try:
            await ChannelValidation.authenticate_channel_token_with_service_url(
                authorization, self._credentials, service_url, channel_id
            )
        except requests.RequestException:
            raise  # the keys cannot be had: our fault, not the caller's
        except Exception as error:
            raise NotAuthorized("the token is not one of the channel's for this agent") from error


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
