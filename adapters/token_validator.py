"""The TokenValidator port: did the channel sign this turn?"""

from collections.abc import Callable

from adapters.signed_tokens import SignedTokens
from agent.ports import Caller, NotAuthorized, TokenValidator


class ChannelTokenValidator:
    """Turns must carry a token of Bot Framework for our app id.

    Bot Framework documentation, "Authenticate requests with the Bot Connector API", section "Connector to
    bot". Tokens of the emulator, which Bot Framework's SDKs let in by default, are refused.
    """

    def __init__(self, tokens: SignedTokens) -> None:
        self._tokens = tokens

    async def authenticate(self, authorization: str | None) -> Caller:
        token = await self._tokens.verified(authorization)
        service_url = token.claims.get("serviceurl")
        if not isinstance(service_url, str) or not service_url:
            raise NotAuthorized("the token names no service URL")
        return _Channel(service_url, token.key.endorsements)


class _Channel:
    """The channel, as one of its tokens and the endorsements of the token's key tell it."""

    def __init__(self, service_url: str, endorsements: frozenset[str]) -> None:
        self._service_url = service_url
        self._endorsements = endorsements

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        # As Microsoft's SDKs compare: by the letter, but for a slash at the end.
        if service_url.rstrip("/") != self._service_url.rstrip("/"):
            raise NotAuthorized("the token is for another service URL")
        # A key without endorsements may sign for no channel; Bot Framework's SDK skips the check then.
        if channel_id not in self._endorsements:
            raise NotAuthorized("the token's key is not endorsed for this channel")


class EmulatorTokenValidator:
    """Turns may also carry a token that the app got for itself, as the Bot Framework Emulator sends it.

    Such a token binds no channel and no service URL, so its turns must come from this machine.
    """

    def __init__(
        self,
        tokens: SignedTokens,
        *,
        app_id: str,
        channel: TokenValidator,
        is_loopback: Callable[[str], bool],
    ) -> None:
        self._tokens = tokens
        self._app_id = app_id
        self._channel = channel
        self._is_loopback = is_loopback

    async def authenticate(self, authorization: str | None) -> Caller:
        try:
            return await self._channel.authenticate(authorization)
        except NotAuthorized:
            token = await self._tokens.verified(authorization)
        # Entra documentation, "Access token claims reference": the client's id by the token's version.
        claim = {"1.0": "appid", "2.0": "azp"}.get(str(token.claims.get("ver")))
        if claim is None or token.claims.get(claim) != self._app_id:
            raise NotAuthorized("the token was not got by this app")
        return _ThisMachine(self._is_loopback)


class UnsignedTurns:
    """Turns without a token, from this machine only: for the Agents Playground in development."""

    def __init__(self, *, is_loopback: Callable[[str], bool]) -> None:
        self._is_loopback = is_loopback

    async def authenticate(self, authorization: str | None) -> Caller:
        return _ThisMachine(self._is_loopback)


class _ThisMachine:
    def __init__(self, is_loopback: Callable[[str], bool]) -> None:
        self._is_loopback = is_loopback

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        if not self._is_loopback(service_url):
            raise NotAuthorized(
                "without the channel's token only turns with a loopback service URL are let in"
            )


class NoTurns:
    """Nobody is let in: there is no app id to check a token against."""

    async def authenticate(self, authorization: str | None) -> Caller:
        raise NotAuthorized("MicrosoftAppId is not set, so no turn can be authenticated")


class TenantsOnly:
    """Of those whom ``validator`` lets in, the turns of these tenants (lower-case ids)."""

    def __init__(self, validator: TokenValidator, *, tenants: frozenset[str]) -> None:
        self._validator = validator
        self._tenants = tenants

    async def authenticate(self, authorization: str | None) -> Caller:
        return _OfATenant(await self._validator.authenticate(authorization), self._tenants)


class _OfATenant:
    def __init__(self, caller: Caller, allowed: frozenset[str]) -> None:
        self._caller = caller
        self._allowed = allowed

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        self._caller.admit(channel_id=channel_id, service_url=service_url, tenants=tenants)
        if len(tenants) != 1 or not tenants <= self._allowed:
            raise NotAuthorized("the turn's tenant is not one of AllowedTenants")
