"""The queues and tables that the app makes, on Azurite."""

import traceback
from datetime import timedelta
from uuid import uuid4

import msgspec
import pytest
from azure.core.exceptions import ServiceRequestTimeoutError
from azure.storage.queue import QueueClient, QueueServiceClient

from adapters.app_storage import AppStorage
from adapters.storage_account import account_of
from adapters.storage_http import StorageError
from adapters.storage_queue import StorageQueue, storage_errors
from adapters.tables import Tables
from local.azurite import Azurite


async def test_missing_queues_and_tables_are_made_and_those_that_are_there_are_left(
    azurite: Azurite, tables: Tables
) -> None:
    queue_name = f"q-{uuid4().hex}"
    storage = AppStorage(
        tables,
        account=account_of(azurite.connection_string),
        queue_names=(queue_name, f"{queue_name}-poison"),
    )
    queues = QueueServiceClient.from_connection_string(azurite.connection_string)
    await storage.make_missing()
    queues.get_queue_client(queue_name).send_message("stays")
    await storage.make_missing()
    assert {queue_name, f"{queue_name}-poison"} <= {queue.name for queue in queues.list_queues()}
    assert queues.get_queue_client(queue_name).get_queue_properties().approximate_message_count == 1
    queues.close()


async def test_a_message_is_put_on_the_queue_as_it_is_and_shown_after_its_delay(azurite: Azurite) -> None:
    queue_name = f"q-{uuid4().hex}"
    queue = StorageQueue(account_of(azurite.connection_string), queue_name)
    await queue.put("ä now".encode(), delay=timedelta(0))
    await queue.put(b"later", delay=timedelta(hours=1))
    await queue.close()
    with QueueClient.from_connection_string(azurite.connection_string, queue_name) as reader:
        assert [message.content for message in reader.receive_messages()] == ["ä now"]
        assert reader.get_queue_properties().approximate_message_count == 2


async def test_a_message_is_kept_for_as_long_as_it_waits_whatever_characters_it_has(azurite: Azurite) -> None:
    queue_name = f"q-{uuid4().hex}"
    queue = StorageQueue(account_of(azurite.connection_string), queue_name)
    body = msgspec.json.encode({"text": "\ufffe\uffff <&> \x7f \r\n \U0001f600"})
    await queue.put(body, delay=timedelta(0))
    await queue.put(b"{}", delay=timedelta(days=7))
    await queue.close()
    with QueueClient.from_connection_string(azurite.connection_string, queue_name) as reader:
        (shown,) = reader.receive_messages()
    assert msgspec.json.decode(shown.content) == msgspec.json.decode(body)
    assert shown.expires_on is not None
    assert shown.expires_on.year == 9999


def test_of_the_sdks_errors_nothing_is_kept_but_their_kind() -> None:
    with pytest.raises(StorageError, match="ServiceRequestTimeoutError") as told, storage_errors():
        raise ServiceRequestTimeoutError("no answer from https://a.queue.core.windows.net/q?sig=s3cret")
    assert "s3cret" not in "".join(traceback.format_exception(told.value))


async def test_a_queue_that_does_not_take_a_message_is_an_error_of_the_storage(azurite: Azurite) -> None:
    queue = StorageQueue(account_of(azurite.connection_string), "not_a_name")
    with pytest.raises(StorageError) as refused:
        await queue.put(b"{}", delay=timedelta())
    assert refused.value.status == 400
    await queue.close()
