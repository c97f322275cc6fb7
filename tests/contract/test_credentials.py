"""Our own token: kept, fetched once for all, refreshed early, replaced when it was not taken."""

import asyncio
import threading
from datetime import timedelta

import pytest

from adapters import credentials
from adapters.credentials import AskedToWait, CachedCredentials, FetchedToken, NoCredentials
from agent.ports import ChannelBusy, TokenRefused

BUSY = ChannelBusy("down", retry_after=timedelta(seconds=5))


class Giver:
    """Gives ``token-1``, ``token-2`` ..., good for an hour by a clock that is stepped; or fails; or waits."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.asked = 0
        self.error: Exception | None = None
        self.refresh_after: float | None = None
        self.was_asked = threading.Event()
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.source = CachedCredentials(self.fetch, now=lambda: self.time)

    def fetch(self) -> FetchedToken:
        self.asked += 1
        self.was_asked.set()
        token = f"token-{self.asked}"
        assert self.may_answer.wait(60)
        if self.error is not None:
            raise self.error
        return FetchedToken(token=token, seconds=3600, refresh_after_seconds=self.refresh_after)

    def after(self, seconds: float) -> None:
        self.time = 1_000_000.0 + seconds


@pytest.fixture
def giver() -> Giver:
    return Giver()


async def refreshed(giver: Giver) -> None:
    """The refresh in the background has ended."""
    if giver.source._fetching is not None:
        await asyncio.wait({giver.source._fetching})
    assert giver.source._fetching is None


async def test_a_hundred_who_ask_at_once_cause_one_fetch(giver: Giver) -> None:
    assert await asyncio.gather(*(giver.source.token() for _ in range(100))) == ["token-1"] * 100
    assert giver.asked == 1


def test_a_fresh_token_is_given_without_leaving_the_caller(giver: Giver) -> None:
    asyncio.run(giver.source.token())
    asking = giver.source.token()
    with pytest.raises(StopIteration) as given:  # no event loop: it waits for nothing
        asking.send(None)
    assert given.value.value == "token-1"


async def test_a_token_is_refreshed_early_while_the_old_one_is_used(giver: Giver) -> None:
    await giver.source.token()
    giver.after(2699)
    await giver.source.token()
    assert giver.asked == 1
    giver.after(2700)
    giver.may_answer.clear()
    assert await asyncio.gather(*(giver.source.token() for _ in range(100))) == ["token-1"] * 100
    giver.after(2800)
    assert await giver.source.token() == "token-1"  # a slow refresh is not begun twice
    giver.may_answer.set()
    await refreshed(giver)
    assert await giver.source.token() == "token-2"
    assert giver.asked == 2


async def test_a_token_is_refreshed_when_its_giver_would_have_it_so(giver: Giver) -> None:
    giver.refresh_after = 600
    await giver.source.token()
    giver.after(601)
    await giver.source.token()
    await refreshed(giver)
    assert giver.asked == 2


@pytest.mark.parametrize("error", [BUSY, TokenRefused("invalid_client")])
async def test_an_early_refresh_that_fails_keeps_the_old_token_until_it_expires(
    giver: Giver, error: Exception
) -> None:
    await giver.source.token()
    giver.error = error
    for seconds, asked in ((2700, 2), (2759, 2), (2760, 3), (3569, 4)):
        giver.after(seconds)
        assert await giver.source.token() == "token-1"
        await refreshed(giver)
        assert giver.asked == asked
    giver.after(3570)
    with pytest.raises(type(error)):
        await giver.source.token()
    giver.error = None
    assert await giver.source.token() == "token-6"


async def test_many_who_were_not_taken_at_once_cause_one_refresh(giver: Giver) -> None:
    async def send() -> str:
        token = await giver.source.token()
        await asyncio.sleep(0)
        await giver.source.forget(token)
        return await giver.source.token()

    await giver.source.token()
    assert await asyncio.gather(*(send() for _ in range(100))) == ["token-2"] * 100
    assert giver.asked == 2


async def test_a_stale_token_that_was_not_taken_leaves_the_current_one(giver: Giver) -> None:
    await giver.source.token()
    await giver.source.forget("token-0")
    assert await giver.source.token() == "token-1"
    await giver.source.forget("token-1")
    await giver.source.forget("token-1")
    assert await giver.source.token() == "token-2"


async def test_who_asks_for_a_wait_is_not_asked_before_it_is_over(giver: Giver) -> None:
    giver.error = AskedToWait("slow down", retry_after=timedelta(seconds=30))
    with pytest.raises(ChannelBusy):
        await giver.source.token()
    giver.error = None
    giver.after(29)
    with pytest.raises(ChannelBusy) as caught:
        await giver.source.token()
    assert caught.value.retry_after == timedelta(seconds=1)
    giver.after(30)
    assert await giver.source.token() == "token-2"


async def test_a_giver_that_is_too_slow_is_not_waited_for_and_its_token_is_kept(
    giver: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "PATIENCE_SECONDS", 0.01)
    giver.may_answer.clear()
    with pytest.raises(ChannelBusy):
        await giver.source.token()
    giver.may_answer.set()
    await refreshed(giver)
    assert await giver.source.token() == "token-1"
    assert giver.asked == 1


async def test_a_fetch_that_never_ends_is_given_up_for_another(
    giver: Giver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "PATIENCE_SECONDS", 0.01)
    giver.may_answer.clear()
    for seconds in (0.0, credentials.FETCH_LASTS_SECONDS):
        giver.after(seconds)
        with pytest.raises(ChannelBusy):
            await giver.source.token()
        assert giver.asked == 1
    giver.after(credentials.FETCH_LASTS_SECONDS + 1)
    giver.was_asked.clear()
    with pytest.raises(ChannelBusy):
        await giver.source.token()
    assert giver.was_asked.wait(60)
    giver.may_answer.set()
    await refreshed(giver)
    assert await giver.source.token() in ("token-1", "token-2")


async def test_what_nobody_foresaw_is_a_refusal_that_quotes_nothing(giver: Giver) -> None:
    giver.error = KeyError("a secret")
    with pytest.raises(TokenRefused, match="KeyError") as refused:
        await giver.source.token()
    assert "secret" not in str(refused.value)


async def test_one_who_gives_up_takes_the_token_from_nobody(giver: Giver) -> None:
    giver.may_answer.clear()
    first, second = (asyncio.create_task(giver.source.token()) for _ in range(2))
    assert await asyncio.to_thread(giver.was_asked.wait, 60)
    first.cancel()
    giver.may_answer.set()
    assert await second == "token-1"
    assert giver.asked == 1


async def test_a_failure_is_told_to_all_who_wait_and_logged_once(
    giver: Giver, caplog: pytest.LogCaptureFixture
) -> None:
    giver.error = TokenRefused("invalid_client")
    told = await asyncio.gather(*(giver.source.token() for _ in range(100)), return_exceptions=True)
    assert {str(error) for error in told} == {"invalid_client"}
    assert giver.asked == 1
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_an_early_refresh_that_breaks_is_not_lost_and_not_quoted(
    giver: Giver, caplog: pytest.LogCaptureFixture
) -> None:
    await giver.source.token()
    giver.error = ValueError("what was answered: s3cret")
    giver.after(2701)
    assert await giver.source.token() == "token-1"
    await refreshed(giver)
    assert [(record.levelname, "ValueError" in record.getMessage()) for record in caplog.records] == [
        ("ERROR", True)
    ]
    assert "s3cret" not in caplog.text


async def test_without_credentials_there_is_no_token() -> None:
    source = NoCredentials()
    assert await source.token() is None
    await source.forget("")
    assert await source.token() is None
