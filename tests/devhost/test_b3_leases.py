"""Contract B3: a message stays invisible while its function runs, by renewals whose clock the test steps."""

import asyncio
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError, ServiceRequestError
from azure.storage.queue import QueueMessage

from devhost.queue import queue_lease
from devhost.queue.queue_lease import QueueLease

LEASE = timedelta(minutes=10)


class Clock:
    """Stands in for `asyncio.sleep`: keeps what was asked for, and wakes when it is stepped."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._steps: asyncio.Queue[None] = asyncio.Queue()

    async def sleep(self, seconds: float) -> None:
        self.asked.append(seconds)
        await self._steps.get()

    async def step(self) -> None:
        """The present sleep is over; come back when the next has begun, or nobody sleeps."""
        self._steps.put_nowait(None)
        for _ in range(10):
            await asyncio.sleep(0)


class Queue:
    """A queue that keeps what is asked of it; `errors` are raised by the next updates, in turn."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int | None]] = []
        self.errors: list[AzureError] = []
        self.delete_error: AzureError | None = None

    async def update_message(self, _: str, receipt: str, *, visibility_timeout: int) -> Any:
        self.calls.append(("update", receipt, visibility_timeout))
        if self.errors:
            raise self.errors.pop(0)
        return SimpleNamespace(pop_receipt=f"{receipt}'")

    async def delete_message(self, _: str, receipt: str) -> None:
        self.calls.append(("delete", receipt, None))
        if self.delete_error:
            raise self.delete_error


def http_error(status: int, code: str = "") -> HttpResponseError:
    kind = ResourceNotFoundError if status == 404 else HttpResponseError
    error = kind(message=code)
    error.status_code = status
    setattr(error, "error_code", code)  # noqa: B010 (the storage library adds it, and so does its double)
    return error


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    stepped = SimpleNamespace(**{**vars(asyncio), "sleep": clock.sleep})
    monkeypatch.setattr(queue_lease, "asyncio", stepped)
    return clock


async def leased(queue: Queue) -> QueueLease:
    message = QueueMessage(content="x")
    message.id, message.pop_receipt = "id", "r"
    storage: Any = queue
    lease = QueueLease(storage, message, LEASE)
    await asyncio.sleep(0)
    return lease


async def test_a_lease_of_ten_minutes_is_renewed_every_five_with_the_newest_receipt(clock: Clock) -> None:
    queue = Queue()
    lease = await leased(queue)
    assert (clock.asked, queue.calls) == ([300], [])
    await clock.step()
    await clock.step()
    await lease.delete()
    assert queue.calls == [("update", "r", 600), ("update", "r'", 600), ("delete", "r''", None)]
    assert clock.asked == [300, 300, 300]


async def test_a_renewal_that_fails_on_the_server_is_tried_again_sooner(clock: Clock) -> None:
    queue = Queue()
    queue.errors = [http_error(503), ServiceRequestError("away"), http_error(500), http_error(500)]
    lease = await leased(queue)
    for _ in range(5):
        await clock.step()
    assert clock.asked == [300, 150, 75, 60, 60, 300]
    assert [receipt for _, receipt, _ in queue.calls] == ["r"] * 5
    await lease.drop()


@pytest.mark.parametrize(("status", "code"), [(400, "PopReceiptMismatch"), (404, "MessageNotFound")])
async def test_a_lease_that_is_lost_is_not_renewed_again(
    clock: Clock, caplog: pytest.LogCaptureFixture, status: int, code: str
) -> None:
    queue = Queue()
    queue.errors = [http_error(status, code)]
    lease = await leased(queue)
    with caplog.at_level(logging.WARNING, "devhost"):
        await clock.step()
    await clock.step()
    assert (len(queue.calls), clock.asked) == (1, [300])
    assert f"The lease of queue message id is lost ({status})" in caplog.text
    await lease.drop()


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "PopReceiptMismatch"),
        (404, "MessageNotFound"),
        (404, "QueueNotFound"),
        (409, "QueueBeingDeleted"),
    ],
)
async def test_a_message_that_is_another_s_by_now_is_left(clock: Clock, status: int, code: str) -> None:
    queue = Queue()
    queue.delete_error = http_error(status, code)
    await (await leased(queue)).delete()
    queue.errors = [http_error(status, code)]
    await (await leased(queue)).give_back(timedelta(0))
    assert [kind for kind, _, _ in queue.calls] == ["delete", "update"]


async def test_other_errors_of_a_delete_are_the_callers(clock: Clock) -> None:
    queue = Queue()
    queue.delete_error = http_error(403, "AuthorizationFailure")
    lease = await leased(queue)
    with pytest.raises(HttpResponseError):
        await lease.delete()


async def test_a_message_is_given_back_by_its_newest_receipt(clock: Clock) -> None:
    queue = Queue()
    lease = await leased(queue)
    await clock.step()
    await lease.give_back(timedelta(seconds=7))
    assert queue.calls == [("update", "r", 600), ("update", "r'", 7)]
