"""A message's way to the poison queue, statement by statement, on queues that only keep notes."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import ServiceRequestError
from azure.storage.queue import QueueMessage

from devhost.indexing.function_binding import Binding, FunctionDefinition
from devhost.indexing.function_signature import read_signature
from devhost.invocation.invoker import Invoker
from devhost.queue.queue_listener import QueueListener
from devhost.queue.queue_settings import QueueSettings

SETTINGS = QueueSettings(16, 8, 3, timedelta(0), timedelta(seconds=1), "none")


class Notes:
    """Storage whose queues write down what is asked of them; `is_away` makes every sending fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.is_away = False

    def queue(self, _: str, name: str) -> Any:
        return NotedQueue(self, name)


class NotedQueue:
    def __init__(self, notes: Notes, queue_name: str) -> None:
        self._notes, self.queue_name = notes, queue_name

    async def send_message(self, text: str) -> None:
        self._notes.calls.append(("send", self.queue_name, text))
        if self._notes.is_away:
            raise ServiceRequestError("away")

    async def delete_message(self, *_: str) -> None:
        self._notes.calls.append(("delete", self.queue_name))

    async def update_message(self, *_: str, visibility_timeout: int) -> Any:
        self._notes.calls.append(("hide", self.queue_name, str(visibility_timeout)))
        return SimpleNamespace(pop_receipt="next")


@pytest.fixture
def notes() -> Notes:
    return Notes()


async def process(
    notes: Notes, *, dequeue_count: int, queue_name: str = "work", encoding: str = "none"
) -> None:
    """Take one bad message through the listener."""

    async def work(msg: func.QueueMessage) -> None:
        notes.calls.append(("run", str(msg.dequeue_count)))
        raise ValueError

    trigger = Binding("msg", "queueTrigger", "IN", {"queueName": queue_name})
    signature = read_signature("work", work, [trigger])
    function = FunctionDefinition("work", work, trigger, (trigger,), signature, is_async=True)
    storage: Any = notes
    listener = QueueListener(function, Invoker("/", None), storage, replace(SETTINGS, encoding=encoding))
    message = QueueMessage(content="bad")
    message.id, message.pop_receipt, message.dequeue_count = "id", "first", dequeue_count
    await listener._process(message)


async def test_a_bad_message_is_given_back_until_its_last_run(notes: Notes) -> None:
    await process(notes, dequeue_count=2)
    assert notes.calls == [("run", "2"), ("hide", "work", "0")]


async def test_the_poison_copy_is_there_before_the_message_is_deleted(notes: Notes) -> None:
    await process(notes, dequeue_count=3)
    assert notes.calls == [("run", "3"), ("send", "work-poison", "bad"), ("delete", "work")]


async def test_a_message_whose_poison_copy_failed_is_left(notes: Notes) -> None:
    notes.is_away = True
    await process(notes, dequeue_count=3)
    assert notes.calls == [("run", "3"), ("send", "work-poison", "bad")]


async def test_a_message_that_was_taken_too_often_is_poisoned_without_a_run(notes: Notes) -> None:
    await process(notes, dequeue_count=4)
    assert notes.calls == [("send", "work-poison", "bad"), ("delete", "work")]


@pytest.mark.parametrize("name", ["work-poison", "w" * 57, "w" * 63])
async def test_a_queue_without_a_poison_queue_leaves_the_message_invisible(notes: Notes, name: str) -> None:
    await process(notes, dequeue_count=3, queue_name=name)
    await process(notes, dequeue_count=4, queue_name=name)
    assert notes.calls == [("run", "3")]


@pytest.mark.parametrize("name", ["w" * 56, "3po", "a-b"])
async def test_a_poison_queue_has_the_name_of_its_queue(notes: Notes, name: str) -> None:
    await process(notes, dequeue_count=4, queue_name=name)
    assert notes.calls == [("send", f"{name}-poison", "bad"), ("delete", name)]


@pytest.mark.derived
async def test_what_cannot_be_decoded_is_copied_as_it_is_and_not_run(
    notes: Notes, caplog: pytest.LogCaptureFixture
) -> None:
    await process(notes, dequeue_count=1, encoding="base64")
    assert notes.calls == [("send", "work-poison", "bad"), ("delete", "work")]
    assert "Message decoding has failed! Check MessageEncoding settings" in caplog.text
