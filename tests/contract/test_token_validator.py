"""Did the channel sign this turn? Our own check, the keys served here."""

import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from adapters.signed_tokens import REMEMBERED, SignedTokens
from adapters.signing_keys import SigningKeys
from adapters.token_issuers import CHANNELS, emulator_issuer
from adapters.token_validator import (
    ChannelTokenValidator,
    EmulatorTokenValidator,
    NoTurns,
    TenantsOnly,
    UnsignedTurns,
)
from agent.ports import NotAuthenticated, NotAuthorized, TokenValidator
from settings import is_loopback, is_safe_url
from tests.contract.key_server import KeyServer, key_server
from tests.forgeries import BOT_FRAMEWORK_TENANT, FORGERIES, STRANGER, Forger, last_character_changed

APP_ID = "22222222-2222-4222-8222-222222222222"
SERVICE_URL = "https://smba.example/teams/"
TENANT = "11111111-1111-4111-8111-111111111111"
ANOTHER_TENANT = "44444444-4444-4444-8444-444444444444"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
DEVELOPMENT = partial(is_safe_url, is_development=True)


class Time:
    """Seconds that are stepped: the true time and what was added to it."""

    def __init__(self) -> None:
        self.added = 0.0

    def __call__(self) -> float:
        return time.time() + self.added


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
async def server() -> AsyncIterator[KeyServer]:
    async with key_server() as server:
        server.publish(KEY, "key-1")
        yield server


@pytest.fixture
async def keys(server: KeyServer, clock: Time) -> AsyncIterator[SigningKeys]:
    keys = SigningKeys(server.metadata_url, is_allowed=DEVELOPMENT, seconds=clock)
    yield keys
    await keys.close()


@pytest.fixture
def tokens(keys: SigningKeys, clock: Time) -> SignedTokens:
    return SignedTokens(app_id=APP_ID, issuers=CHANNELS["Public"].names, keys=keys, now=clock)


@pytest.fixture
def validator(tokens: SignedTokens) -> ChannelTokenValidator:
    return ChannelTokenValidator(tokens)


@pytest.fixture(scope="module")
async def standing() -> AsyncIterator[ChannelTokenValidator]:
    """One for all forgeries, which stand for one caller's many tries."""
    async with key_server() as server:
        server.publish(KEY, "key-1")
        server.publish(OTHER_KEY, "key-2")
        keys = SigningKeys(server.metadata_url, is_allowed=DEVELOPMENT)
        yield ChannelTokenValidator(SignedTokens(app_id=APP_ID, issuers=CHANNELS["Public"].names, keys=keys))
        await keys.close()


def forger(key: rsa.RSAPrivateKey = KEY, key_id: str = "key-1") -> Forger:
    return Forger(key, key_id=key_id, app_id=APP_ID, service_url=SERVICE_URL)


async def turn(
    validator: TokenValidator,
    token: str | None,
    *,
    channel_id: str = "msteams",
    service_url: str = SERVICE_URL,
    tenants: tuple[str, ...] = (TENANT,),
) -> None:
    """One turn that says this of itself, with the token as its bearer."""
    caller = await validator.authenticate(None if token is None else f"Bearer {token}")
    caller.admit(channel_id=channel_id, service_url=service_url, tenants=frozenset(tenants))


ACCEPTED: dict[str, dict[str, Any]] = {
    "as the channel sends it": {},
    "for the app as a URI": {"aud": f"api://{APP_ID}"},
    "for the bot as a URI": {"aud": f"api://botid-{APP_ID}"},
    "without the slash at the end of its service URL": {"serviceurl": SERVICE_URL.rstrip("/")},
    "with more claims": {"iat": int(time.time()) - 60, "tid": TENANT, "ver": "1.0", "jti": "one"},
    "expired within the skew": {"nbf": int(time.time()) - 3600, "exp": int(time.time()) - 200},
    "not valid yet within the skew": {"nbf": int(time.time()) + 200},
}


@pytest.mark.parametrize("name", ACCEPTED)
async def test_a_token_of_the_channel_is_let_in(standing: ChannelTokenValidator, name: str) -> None:
    token = forger().token(**ACCEPTED[name])
    await turn(standing, token)
    await turn(standing, token)


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_token_that_does_not_hold_is_refused(standing: ChannelTokenValidator, name: str) -> None:
    authorization = FORGERIES[name](forger())
    for _ in range(2):
        with pytest.raises(NotAuthorized):
            caller = await standing.authenticate(authorization)
            caller.admit(channel_id="msteams", service_url=SERVICE_URL, tenants=frozenset())


@pytest.mark.parametrize("spoiled", ["\n", "\r\n", " ", "\x00", "\ud800", "\nBearer x"], ids=repr)
async def test_nothing_may_stand_around_a_token(standing: ChannelTokenValidator, spoiled: str) -> None:
    token = forger().token()
    for authorization in (f"Bearer {token}{spoiled}", f"{spoiled}Bearer {token}"):
        with pytest.raises(NotAuthorized):
            await standing.authenticate(authorization)


@pytest.mark.parametrize("authorization", [None, ""])
async def test_a_missing_token_is_told_from_a_bad_one(
    standing: ChannelTokenValidator, authorization: str | None
) -> None:
    with pytest.raises(NotAuthenticated):
        await standing.authenticate(authorization)


async def test_no_token_is_logged(standing: ChannelTokenValidator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good, forged = forger().token(), forger(STRANGER, "nobody-knows").token()
    await turn(standing, good)
    with pytest.raises(NotAuthorized) as refused:
        await turn(standing, forged)
    for token in (good, forged):
        assert not [part for part in token.split(".") if part in caplog.text or part in str(refused.value)]


async def test_a_key_signs_under_its_own_name_only(standing: ChannelTokenValidator) -> None:
    await turn(standing, forger(OTHER_KEY, "key-2").token())
    for wrong in (forger(KEY, "key-2"), forger(OTHER_KEY, "key-1")):
        with pytest.raises(NotAuthorized):
            await turn(standing, wrong.token())


@pytest.mark.parametrize("cloud", CHANNELS)
async def test_each_cloud_takes_the_tokens_of_its_own_channel(keys: SigningKeys, cloud: str) -> None:
    validator = ChannelTokenValidator(SignedTokens(app_id=APP_ID, issuers=CHANNELS[cloud].names, keys=keys))
    for issuer in {name for channel in CHANNELS.values() for name in channel.names}:
        token = forger().token(iss=issuer)
        if issuer in CHANNELS[cloud].names:
            await turn(validator, token)
        else:
            with pytest.raises(NotAuthorized):
                await turn(validator, token)


class TestEndorsements:
    """A key signs for the channels that it is endorsed for."""

    @pytest.mark.parametrize("channel_id", ["webchat", "MSTEAMS", "", "msteams\n", "emulator"])
    async def test_another_channel_is_refused(self, standing: ChannelTokenValidator, channel_id: str) -> None:
        token = forger().token()
        await turn(standing, token)
        with pytest.raises(NotAuthorized):
            await turn(standing, token, channel_id=channel_id)

    @pytest.mark.parametrize("endorsements", [None, ()])
    async def test_a_key_without_any_is_refused(
        self, validator: ChannelTokenValidator, server: KeyServer, endorsements: tuple[str] | None
    ) -> None:
        server.publish(OTHER_KEY, "bare", endorsements=endorsements)
        with pytest.raises(NotAuthorized):
            await turn(validator, forger(OTHER_KEY, "bare").token())


class TestMemory:
    """A token that was verified is remembered, and nothing else with it."""

    async def test_a_token_for_one_service_url_opens_no_other(self, validator: ChannelTokenValidator) -> None:
        token = forger().token()
        await turn(validator, token)
        with pytest.raises(NotAuthorized):
            await turn(validator, token, service_url="https://smba.example/other/")

    async def test_the_same_token_but_for_a_character_is_refused(
        self, validator: ChannelTokenValidator
    ) -> None:
        token = forger().token()
        await turn(validator, token)
        for spoiled in (last_character_changed(token), token[:-1], token + "A", token.swapcase()):
            with pytest.raises(NotAuthorized):
                await turn(validator, spoiled)
        await turn(validator, token)

    async def test_it_ends_with_the_token(self, validator: ChannelTokenValidator, clock: Time) -> None:
        token = forger().token()
        await turn(validator, token)
        clock.added = 3540 + 290
        await turn(validator, token)
        clock.added = 3540 + 301
        with pytest.raises(NotAuthorized):
            await turn(validator, token)

    async def test_a_token_of_a_key_that_was_withdrawn_is_refused(
        self, validator: ChannelTokenValidator, server: KeyServer, clock: Time
    ) -> None:
        token = forger().token(exp=int(time.time()) + 40 * 3600)
        await turn(validator, token)
        server.keys.clear()
        server.publish(OTHER_KEY, "key-2")
        clock.added = 24 * 3600 + 1
        with pytest.raises(NotAuthorized):
            await turn(validator, token)

    async def test_a_token_is_checked_anew_by_another_key_of_the_same_name(
        self, validator: ChannelTokenValidator, server: KeyServer, clock: Time
    ) -> None:
        token = forger().token(exp=int(time.time()) + 40 * 3600)
        await turn(validator, token)
        server.keys.clear()
        server.publish(OTHER_KEY, "key-1")
        clock.added = 24 * 3600 + 1
        with pytest.raises(NotAuthorized):
            await turn(validator, token)

    async def test_it_is_bounded(self, validator: ChannelTokenValidator, tokens: SignedTokens) -> None:
        first = forger().token(jti="first")
        await turn(validator, first)
        for number in range(REMEMBERED):
            await turn(validator, forger().token(jti=str(number)))
        assert len(tokens._remembered) == REMEMBERED
        await turn(validator, first)


LOCAL = "http://localhost:56150/"
VERSION_1: dict[str, Any] = {
    "iss": f"https://sts.windows.net/{BOT_FRAMEWORK_TENANT}/",
    "appid": APP_ID,
    "ver": "1.0",
}
VERSION_2: dict[str, Any] = {
    "iss": f"https://login.microsoftonline.com/{TENANT}/v2.0",
    "azp": APP_ID,
    "ver": "2.0",
}


class TestEmulator:
    """Tokens that the app got for itself: only where they are let in, and only from this machine."""

    @pytest.fixture
    async def emulator(
        self, validator: ChannelTokenValidator, clock: Time
    ) -> AsyncIterator[EmulatorTokenValidator]:
        """Lets them in; Entra has keys of its own, without endorsements."""
        async with key_server() as entra:
            entra.publish(OTHER_KEY, "entra", endorsements=None)
            keys = SigningKeys(entra.metadata_url, is_allowed=DEVELOPMENT)
            issuers = emulator_issuer("Public", app_tenant_id=TENANT).names
            yield EmulatorTokenValidator(
                SignedTokens(app_id=APP_ID, issuers=issuers, keys=keys),
                app_id=APP_ID,
                channel=validator,
                is_loopback=is_loopback,
            )
            await keys.close()

    def token(self, **claims: Any) -> str:
        return forger(OTHER_KEY, "entra").token(serviceurl=None, **claims)

    @pytest.mark.parametrize("claims", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
    async def test_they_are_let_in_from_this_machine(
        self, emulator: EmulatorTokenValidator, claims: dict[str, Any]
    ) -> None:
        await turn(emulator, self.token(**claims), service_url=LOCAL, channel_id="emulator")
        with pytest.raises(NotAuthorized):
            await turn(emulator, self.token(**claims))

    @pytest.mark.parametrize("claims", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
    async def test_they_are_refused_where_they_are_not_let_in(
        self, validator: ChannelTokenValidator, server: KeyServer, claims: dict[str, Any]
    ) -> None:
        server.publish(OTHER_KEY, "entra")
        with pytest.raises(NotAuthorized):
            await turn(validator, self.token(**claims), service_url=LOCAL)

    async def test_the_channel_is_let_in_as_ever(self, emulator: EmulatorTokenValidator) -> None:
        await turn(emulator, forger().token())
        with pytest.raises(NotAuthorized):
            await turn(emulator, forger().token(), channel_id="webchat")
        with pytest.raises(NotAuthenticated):
            await turn(emulator, None)

    @pytest.mark.parametrize(
        "claims",
        [
            {**VERSION_1, "appid": "another"},
            {**VERSION_1, "appid": None, "azp": APP_ID},
            {**VERSION_2, "azp": None, "appid": APP_ID},
            {**VERSION_2, "ver": "3.0"},
            {**VERSION_2, "ver": None},
            {**VERSION_1, "aud": "another"},
            {**VERSION_1, "iss": f"https://sts.windows.net/{ANOTHER_TENANT}/"},
            {**VERSION_1, "iss": "https://api.botframework.com"},
        ],
    )
    async def test_those_of_another_app_or_tenant_are_refused(
        self, emulator: EmulatorTokenValidator, claims: dict[str, Any]
    ) -> None:
        with pytest.raises(NotAuthorized):
            await turn(emulator, self.token(**claims), service_url=LOCAL)

    async def test_a_strangers_are_refused(self, emulator: EmulatorTokenValidator) -> None:
        token = forger(STRANGER, "entra").token(serviceurl=None, **VERSION_1)
        with pytest.raises(NotAuthorized):
            await turn(emulator, token, service_url=LOCAL)


class TestTenants:
    """With a list of tenants, a turn must tell one of them, and only one."""

    async def test_a_tenant_of_the_list_is_let_in(self, standing: ChannelTokenValidator) -> None:
        await turn(TenantsOnly(standing, tenants=frozenset({TENANT})), forger().token())

    @pytest.mark.parametrize("tenants", [(), (ANOTHER_TENANT,), (TENANT, ANOTHER_TENANT), ("",)])
    async def test_another_tenant_or_two_or_none_is_refused(
        self, standing: ChannelTokenValidator, tenants: tuple[str, ...]
    ) -> None:
        with pytest.raises(NotAuthorized):
            only = TenantsOnly(standing, tenants=frozenset({TENANT}))
            await turn(only, forger().token(), tenants=tenants)

    async def test_the_list_opens_no_other_door(self, standing: ChannelTokenValidator) -> None:
        only = TenantsOnly(standing, tenants=frozenset({TENANT}))
        with pytest.raises(NotAuthenticated):
            await turn(only, None)
        with pytest.raises(NotAuthorized):
            await turn(only, forger().token(), channel_id="webchat")


async def test_unsigned_turns_come_from_this_machine_only() -> None:
    unsigned = UnsignedTurns(is_loopback=is_loopback)
    await turn(unsigned, None, service_url="http://localhost:56150/_connector")
    with pytest.raises(NotAuthorized):
        await turn(unsigned, None)


async def test_without_an_app_id_nobody_is_let_in() -> None:
    with pytest.raises(NotAuthorized):
        await turn(NoTurns(), "x", service_url="http://localhost/")
