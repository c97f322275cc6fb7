"""Contract B3: the queue trigger and the queue output on a real Azurite."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import azure.functions as func
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.functions.meta import Datum
from azure.storage.queue import QueueClient

from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.indexing.function_binding import Binding
from devhost.queue.queue_lease import QueueLease
from devhost.queue.queue_message import (
    UndecodableMessage,
    decode_text,
    encode_text,
    message_datum,
    queue_metadata,
)
from devhost.queue.queue_output import QueueOutput, message_contents
from devhost.queue.queue_settings import read_queue_settings
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.queue_trigger import SETTINGS, Azurite, QueueTrigger, eventually, queue_of, texts_in


async def test_messages_are_run_once_and_deleted(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    for number in range(40):
        await trigger.queue.send_message(f"m{number}")
    trigger.listen()

    async def is_empty() -> bool:
        return await trigger.left() == 0

    await eventually(is_empty)
    assert sorted(trigger.seen) == sorted((f"m{number}", 1) for number in range(40))


async def test_a_queue_that_is_missing_is_waited_for_and_not_created(trigger: QueueTrigger) -> None:
    trigger.listen()
    await asyncio.sleep(0.5)
    with pytest.raises(ResourceNotFoundError):
        await trigger.queue.get_queue_properties()
    await trigger.queue.create_queue()
    await trigger.queue.send_message("late")
    await eventually(lambda: trigger.seen)


async def test_a_bad_message_is_tried_again_and_then_poisoned(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("bad one")
    trigger.listen()
    assert await eventually(trigger.poisoned) == ["bad one"]
    assert trigger.seen == [("bad one", 1), ("bad one", 2), ("bad one", 3)]

    async def is_empty() -> bool:
        return await trigger.left() == 0

    await eventually(is_empty)


async def test_a_failed_message_waits_for_the_visibility_timeout(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("bad one")
    trigger.listen(replace(SETTINGS, visibility_timeout=timedelta(seconds=2)))
    loop = asyncio.get_running_loop()
    await eventually(lambda: trigger.seen)
    first = loop.time()
    await eventually(lambda: len(trigger.seen) == 2)
    assert loop.time() - first > 1.5


async def test_no_more_run_at_once_than_batch_and_threshold_allow(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    for number in range(20):
        await trigger.queue.send_message(f"m{number}")
    trigger.hold = asyncio.Event()
    trigger.listen(replace(SETTINGS, batch_size=4, new_batch_threshold=2))
    await eventually(lambda: trigger.running == 4)
    await asyncio.sleep(0.5)
    assert trigger.running == 4
    trigger.hold.set()
    await eventually(lambda: len(trigger.seen) == 20)
    assert 4 <= trigger.most_running <= 6


async def test_a_long_run_keeps_its_message_by_renewing_the_lease(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("long")
    trigger.hold = asyncio.Event()
    trigger.listen(replace(SETTINGS, lease=timedelta(seconds=2)))
    await eventually(lambda: trigger.seen)
    await asyncio.sleep(4.5)  # the emulator's clock cannot be stepped
    trigger.hold.set()

    async def is_empty() -> bool:
        return await trigger.left() == 0

    await eventually(is_empty)
    assert trigger.seen == [("long", 1)]


async def test_a_message_that_was_dropped_comes_back_after_its_lease(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("dropped")
    (message,) = [m async for m in trigger.queue.receive_messages(visibility_timeout=1)]
    lease = QueueLease(trigger.queue, message, timedelta(seconds=60))
    await lease.drop()
    trigger.listen()
    await eventually(lambda: trigger.seen == [("dropped", 2)])


async def test_what_is_not_base64_goes_to_the_poison_queue_without_a_run(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("not base64!")
    await trigger.queue.send_message(encode_text(b"fine", "base64"))
    trigger.listen(replace(SETTINGS, encoding="base64"))
    assert await eventually(trigger.poisoned) == ["not base64!"]
    await eventually(lambda: trigger.seen == [("fine", 1)])


async def test_outputs_create_their_queue_and_send_one_message_an_element(trigger: QueueTrigger) -> None:
    output = QueueOutput(trigger.storage, "none")
    binding = Binding("out", "queue", "OUT", {"queueName": trigger.name, "connection": "Store"})
    registry: Any = func.meta.get_binding_registry()  # type: ignore[no-untyped-call]
    encode = registry.get("queue").encode
    await output.write(binding, encode("text", expected_type=str))
    await output.write(binding, encode(["one", "two"], expected_type=list))
    sent = [message.content for message in await trigger.queue.peek_messages(10)]
    assert sent == ["text", "one", "two"]


def test_texts_bytes_and_lists_become_messages() -> None:
    assert message_contents(func.meta.Datum("[1]", "string")) == [b"1"]
    assert message_contents(func.meta.Datum(b"\x00", "bytes")) == [b"\x00"]
    assert message_contents(func.meta.Datum('["a", {"b": "ü"}]', "json")) == [b"a", '{"b": "ü"}'.encode()]


def test_a_message_is_decoded_by_its_encoding() -> None:
    assert decode_text("ü", "none") == "ü".encode()
    assert decode_text(encode_text(b"\xff", "base64"), "base64") == b"\xff"
    with pytest.raises(UndecodableMessage):
        decode_text("ü", "base64")
    assert message_datum(b"text", is_binary=False).type == "string"
    assert message_datum(b"\xff", is_binary=False).type == "bytes"
    assert message_datum(b"text", is_binary=True).type == "bytes"


def test_a_message_by_hand_has_metadata_that_the_library_reads() -> None:
    registry: Any = func.meta.get_binding_registry()  # type: ignore[no-untyped-call]
    converter = registry.get("queueTrigger")
    message = converter.decode(
        message_datum(b"x", is_binary=False), trigger_metadata=queue_metadata(dequeue_count=2)
    )
    assert (message.get_body(), message.dequeue_count) == (b"x", 2)
    assert message.insertion_time < message.expiration_time


HOSTILE = [
    "",
    "<Message>&amp;]]>\"'</Message>",
    "  lines\nand\tblanks  ",
    "über 北京 😀",
    "\ufeffmarked",
    "x" * 64 * 1024,
]


@pytest.mark.parametrize("encoding", ["none", "base64"])
async def test_what_an_output_sends_a_trigger_gets(trigger: QueueTrigger, encoding: str) -> None:
    output = QueueOutput(trigger.storage, encoding)
    binding = Binding("out", "queue", "OUT", {"queueName": trigger.name.upper(), "connection": "Store"})
    longest = 64 * 1024 if encoding == "none" else 48 * 1024
    texts = [text[:longest] for text in HOSTILE]
    for text in texts:
        await output.write(binding, Datum(text, "string"))
    trigger.listen(replace(SETTINGS, encoding=encoding))
    await eventually(lambda: len(trigger.seen) == len(texts))
    assert sorted(text for text, _ in trigger.seen) == sorted(texts)
    with pytest.raises(HttpResponseError):
        await output.write(binding, Datum("x" * (longest + 1), "string"))


async def test_bytes_that_are_no_text_arrive_whole_under_base64(trigger: QueueTrigger) -> None:
    output = QueueOutput(trigger.storage, "base64")
    binding = Binding("out", "queue", "OUT", {"queueName": trigger.name, "connection": "Store"})
    await output.write(binding, Datum(bytes(range(256)), "bytes"))
    trigger.listen(replace(SETTINGS, encoding="base64"))
    await eventually(lambda: trigger.messages)
    assert trigger.messages[0].get_body() == bytes(range(256))


async def test_a_function_gets_the_metadata_of_its_message(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    sent = await trigger.queue.send_message("bad one", time_to_live=3600)
    trigger.listen()
    await eventually(lambda: len(trigger.messages) == 3)
    first, second, _ = trigger.messages
    assert (first.id, first.dequeue_count, second.dequeue_count) == (sent.id, 1, 2)
    assert first.pop_receipt
    assert first.pop_receipt != second.pop_receipt
    assert first.insertion_time == sent.inserted_on
    assert first.expiration_time == sent.expires_on
    assert first.time_next_visible
    hidden = first.time_next_visible - datetime.now(UTC)
    assert timedelta(minutes=9) < hidden <= timedelta(minutes=10)


async def test_a_name_in_capitals_is_the_queue_in_small_letters(trigger: QueueTrigger) -> None:
    await trigger.queue.create_queue()
    await trigger.queue.send_message("one")
    trigger.name = trigger.name.upper()
    trigger.listen()
    await eventually(lambda: trigger.seen == [("one", 1)])
    trigger.name = trigger.name.lower()


@pytest.mark.derived
@pytest.mark.parametrize(
    ("datum", "messages"),
    [
        (Datum("plain", "string"), ["plain"]),
        (Datum('{"a": 1}', "string"), ['{"a": 1}']),
        (Datum('["a", {"b": 2}, 3, true]', "string"), ["a", '{"b": 2}', "3", "True"]),
        (Datum('{"id": null, "body": "x"}', "json"), ['{"id": null, "body": "x"}']),
        (Datum('[{"id": null, "body": "x"}, "y"]', "json"), ['{"id": null, "body": "x"}', "y"]),
        (Datum("[]", "json"), []),
    ],
)
def test_text_that_is_a_json_list_gives_a_message_an_element(datum: Datum, messages: list[str]) -> None:
    assert [content.decode() for content in message_contents(datum)] == messages


@pytest.mark.derived
def test_text_in_brackets_that_is_no_json_fails_the_call() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        message_contents(Datum("[done]", "string"))


@pytest.mark.parametrize("text", ["not base64!", "YQ", "YQ=", "YQ==YQ==", "YQ\u00e9=", "=", "Y*Q="])
def test_malformed_base64_is_told_apart(text: str) -> None:
    with pytest.raises(UndecodableMessage, match=r"Message decoding has failed! Check MessageEncoding"):
        decode_text(text, "base64")


def test_base64_may_be_wrapped_and_empty() -> None:
    assert decode_text(" Y\r\nQ= =\t", "base64") == b"a"
    assert decode_text(None, "base64") == decode_text("", "base64") == decode_text(None, "none") == b""


def queue_settings(**values: object) -> Any:
    return read_queue_settings(HostJson({"extensions": {"queues": values}}))


def test_the_defaults_of_host_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    found = queue_settings()
    assert (found.batch_size, found.new_batch_threshold, found.max_dequeue_count) == (16, 24, 5)
    assert (found.visibility_timeout, found.encoding) == (timedelta(0), "base64")
    assert (found.lease, found.has_development_lease) == (timedelta(minutes=10), False)
    assert queue_settings(batchSize=5).new_batch_threshold == 6
    assert queue_settings(newBatchThreshold=0).new_batch_threshold == 0


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("batchSize", 0),
        ("batchSize", 33),
        ("newBatchThreshold", -1),
        ("maxDequeueCount", 0),
        ("visibilityTimeout", "-00:00:01"),
        ("visibilityTimeout", "8.00:00:00"),
        ("visibilityTimeout", "soon"),
        ("maxPollingInterval", "00:00:00.05"),
        ("messageEncoding", "utf8"),
    ],
)
def test_values_out_of_range_stop_the_host(key: str, value: object) -> None:
    with pytest.raises(HostStartError, match=f"extensions.queues.{key}"):
        queue_settings(**{key: value})


QUEUE_FUNCTIONS = ("start", "--functions", "work", "put", "put_many")


@pytest.fixture
def queue_host(
    start_host: StartHost, azurite: Azurite
) -> Iterator[tuple[Callable[..., DevhostProcess], QueueClient]]:
    name = f"w{uuid.uuid4().hex[:12]}"

    def start(**environment: str) -> DevhostProcess:
        settings = {"WorkQueue": name, "AzureWebJobsStorage": azurite.connection_string, **environment}
        return start_host(arguments=QUEUE_FUNCTIONS, environment=settings).wait_until_up()

    with queue_of(azurite, name) as queue:
        yield start, queue


def test_a_message_goes_through_an_output_and_a_trigger(
    queue_host: tuple[Callable[..., DevhostProcess], Any],
) -> None:
    start, _ = queue_host
    host = start()
    assert host.call("POST", "/api/put", "one").status == 202
    assert host.call("POST", "/api/put-many", '["two", "three"]').status == 202
    until(lambda: sorted(host.noted("work")) == ["one 1", "three 1", "two 1"])
    assert "DEVHOST_QUEUE_LEASE" not in host.log
    assert host.stop() == 0


def test_a_killed_hosts_message_comes_back_after_the_development_lease(
    queue_host: tuple[Callable[..., DevhostProcess], QueueClient],
) -> None:
    start, queue = queue_host
    queue.create_queue()
    queue.send_message("sleep 1.5")
    host = start(DEVHOST_QUEUE_LEASE="00:00:03")
    assert "DEVHOST_QUEUE_LEASE=0:00:03" in host.log
    until(lambda: host.noted("work") == ["sleep 1.5 1"])
    host.kill()
    host = start(DEVHOST_QUEUE_LEASE="00:00:03")
    until(lambda: host.noted("work") == ["sleep 1.5 1", "sleep 1.5 2", "sleep 1.5 done"])
    assert host.stop() == 0
    assert texts_in(queue) == []


def test_a_stopped_host_lets_a_running_message_end(
    queue_host: tuple[Callable[..., DevhostProcess], QueueClient],
) -> None:
    start, queue = queue_host
    queue.create_queue()
    queue.send_message("sleep 1")
    host = start()
    until(lambda: host.noted("work") == ["sleep 1 1"])
    assert host.stop() == 0
    assert host.noted("work") == ["sleep 1 1", "sleep 1 done"]
    assert queue.get_queue_properties().approximate_message_count == 0


def test_storage_that_is_away_is_said_once_and_stops_nothing(everything: DevhostProcess) -> None:
    until(lambda: "The queue 'work' cannot be reached" in everything.log, seconds=20)
    assert everything.log.count("The queue 'work' cannot be reached") == 1
    assert everything.call("GET", "/api/hello").status == 201
