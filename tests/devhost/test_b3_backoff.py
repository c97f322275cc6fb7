"""Contract B3: how long a queue trigger waits between polls."""

from datetime import timedelta

import pytest

from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.queue.polling_backoff import PollingBackoff
from devhost.queue.queue_settings import read_queue_settings


def waits(backoff: PollingBackoff, count: int) -> list[int]:
    """The next waits in milliseconds."""
    return [round(backoff.next_wait() / timedelta(milliseconds=1)) for _ in range(count)]


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def test_polls_in_vain_come_ever_later_up_to_the_limit() -> None:
    backoff = PollingBackoff(timedelta(seconds=2), chance=middle)
    assert waits(backoff, 8) == [100, 200, 300, 500, 900, 1700, 2000, 2000]


def test_a_message_begins_anew() -> None:
    backoff = PollingBackoff(timedelta(minutes=1), chance=middle)
    assert waits(backoff, 5) == [100, 200, 300, 500, 900]
    backoff.reset()
    assert waits(backoff, 3) == [100, 200, 300]


def test_the_limit_is_left_by_a_message_only() -> None:
    backoff = PollingBackoff(timedelta(seconds=1), chance=middle)
    waits(backoff, 2000)
    assert waits(backoff, 1) == [1000]
    backoff.reset()
    assert waits(backoff, 1) == [100]


def test_what_is_added_varies_by_a_fifth_either_way() -> None:
    asked: list[tuple[float, float]] = []

    def lowest(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    assert waits(PollingBackoff(timedelta(minutes=1), chance=lowest), 4) == [100, 180, 260, 420]
    assert asked == [(0.8, 1.2)] * 3
    drawn = [waits(PollingBackoff(timedelta(minutes=1)), 3)[2] for _ in range(200)]
    assert 260 <= min(drawn) < 280
    assert 320 < max(drawn) <= 340


def test_a_limit_of_the_shortest_wait_is_kept() -> None:
    assert waits(PollingBackoff(timedelta(milliseconds=100)), 3) == [100, 100, 100]


@pytest.mark.parametrize(("environment", "seconds"), [("Development", 2), ("Production", 60), ("", 60)])
def test_the_limit_is_two_seconds_in_development_and_a_minute_elsewhere(
    monkeypatch: pytest.MonkeyPatch, environment: str, seconds: int
) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_ENVIRONMENT", environment)
    assert read_queue_settings(HostJson({})).max_polling_interval == timedelta(seconds=seconds)


def test_a_limit_below_the_shortest_wait_is_refused() -> None:
    with pytest.raises(HostStartError, match="maxPollingInterval must be at least 100 ms"):
        read_queue_settings(HostJson({"extensions": {"queues": {"maxPollingInterval": "00:00:00.0999999"}}}))
