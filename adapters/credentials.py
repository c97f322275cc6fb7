"""Our own token for the Bot Connector: kept, fetched once for all who ask, and refreshed before it is due."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta

import msgspec

from agent.ports import ChannelBusy, ChannelError, TokenRefused

log = logging.getLogger(__name__)

# A turn has 9 s in all. A fetch that takes longer goes on, and those who ask later have its token.
PATIENCE_SECONDS = 5.0
REFRESH_AFTER = 0.75  # of a token's lifetime
EARLY_RETRY_SECONDS = 60.0
# A token must still be good when the channel reads it.
EXPIRY_MARGIN_SECONDS = 30.0
FETCH_LASTS_SECONDS = 60.0  # after that another fetch is begun: requests bounds its pauses, not the whole
RETRY_AFTER = timedelta(seconds=5)


class FetchedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it was given: for how long it is good, and when its giver would have it refreshed."""

    token: str
    seconds: float
    refresh_after_seconds: float | None = None


class AskedToWait(ChannelBusy):
    """Whoever gives tokens said for how long it is not to be asked again."""


class _Held(msgspec.Struct, frozen=True):
    token: str
    refresh_at: float
    expires_at: float


class CachedCredentials:
    """One token a process.

    ``fetch`` blocks and raises TokenRefused or ChannelBusy; it runs in a thread. ``now`` is the clock on the
    wall: a monotonic one stands still while a host is frozen, and the token's lifetime does not.
    """

    def __init__(self, fetch: Callable[[], FetchedToken], *, now: Callable[[], float] = time.time) -> None:
        self._fetch = fetch
        self._now = now
        self._held: _Held | None = None
        self._fetching: asyncio.Task[_Held] | None = None
        self._begun_at = 0.0
        self._not_before = 0.0
        self._early_not_before = 0.0

    async def token(self) -> str:
        """A bearer token. Raises TokenRefused when none is given, ChannelBusy when none can be had now."""
        held = self._held
        if held is not None:  # each send comes by here: no lock, no thread, no msal
            now = self._now()
            if now < held.refresh_at:
                return held.token
            if now < held.expires_at:
                self._refresh_early(now)
                return held.token
        return await self._fetched()

    async def forget(self, token: str) -> None:
        """The channel did not take ``token``. Of many who say so at once, the first has it replaced."""
        if self._held is not None and self._held.token == token:
            self._held = None

    async def _fetched(self) -> str:
        if self._fetching and self._now() > self._begun_at + FETCH_LASTS_SECONDS:
            self._fetching = None  # a giver that drips its answer: its thread is left alone
        if self._fetching is None:
            wait = self._not_before - self._now()
            if wait > 0:
                raise ChannelBusy("no token yet: asked to wait", retry_after=timedelta(seconds=wait))
            self._begin()
        assert self._fetching is not None
        done, _ = await asyncio.wait({self._fetching}, timeout=PATIENCE_SECONDS)
        if not done:
            raise ChannelBusy("no token yet: no answer in time", retry_after=RETRY_AFTER)
        try:
            return done.pop().result().token
        except ChannelError:
            raise
        except Exception as error:  # noqa: BLE001 - msal raises what it likes, and may quote an answer
            raise TokenRefused(f"the token could not be fetched: {type(error).__name__}") from None

    def _refresh_early(self, now: float) -> None:
        if self._fetching is None and now >= max(self._not_before, self._early_not_before):
            self._early_not_before = now + EARLY_RETRY_SECONDS
            self._begin()

    def _begin(self) -> None:
        self._begun_at = self._now()
        self._fetching = asyncio.create_task(self._fetch_in_thread(), name="fetch a token")
        self._fetching.add_done_callback(self._end)

    async def _fetch_in_thread(self) -> _Held:
        asked_at = self._now()  # its lifetime counts from later on: this is the safe side
        fetched = await asyncio.to_thread(self._fetch)
        refresh_after = fetched.refresh_after_seconds or fetched.seconds * REFRESH_AFTER
        self._held = _Held(
            fetched.token,
            refresh_at=asked_at + min(refresh_after, fetched.seconds * REFRESH_AFTER),
            expires_at=asked_at + fetched.seconds - EXPIRY_MARGIN_SECONDS,
        )
        return self._held

    def _end(self, ended: "asyncio.Task[_Held]") -> None:
        if self._fetching is ended:
            self._fetching = None
        error = None if ended.cancelled() else ended.exception()
        if isinstance(error, AskedToWait):
            self._not_before = self._now() + error.retry_after.total_seconds()
        if isinstance(error, TokenRefused):
            log.error("The agent is given no token: %s", error)
        elif isinstance(error, ChannelError):
            log.warning("The agent's token could not be fetched: %s", error)
        elif error is not None:
            # Nobody may be waiting to whom it would be raised. Its text may quote an answer with a token.
            log.error("The agent's token could not be fetched: %s", type(error).__name__)


class NoCredentials:
    """Unsigned sends: the Agents Playground takes them, no other channel does."""

    async def token(self) -> str | None:
        return None

    async def forget(self, token: str) -> None:
        return
