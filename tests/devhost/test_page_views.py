"""What the page is told of a history, of functions and of queues, without a host."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from azure.core.exceptions import ResourceNotFoundError, ServiceRequestError
from multidict import CIMultiDict

from devhost.durable.task_hub import TaskHub
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.invocation.run_log import RunLog
from devhost.page.function_page import FunctionPage
from devhost.page.queue_page import QueuePage, QueueUnreachable, app_queues
from devhost.page.remembered import Remembered
from devhost.page.request_guard import RequestGuard
from devhost.page.timeline import timeline
from devhost.storage.storage_connection import StorageConnections


def event(number: int, second: int, event_id: int = -1, **members: Any) -> str:
    moment = f"2026-01-01T00:00:{second:02d}.0000000Z"
    return json.dumps({"EventType": number, "EventId": event_id, "Timestamp": moment, **members})


def define(name: str, *bindings: Binding) -> FunctionDefinition:
    signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
    return FunctionDefinition(name, print, bindings[0], bindings, signature, is_async=False)


def test_what_was_scheduled_and_answered_is_a_bar() -> None:
    (bar,) = timeline(
        [
            event(4, 1, 0, Name="add", Input='["[1, 2]"]'),
            event(12, 2),
            event(5, 3, TaskScheduledId=0, Result="3"),
        ]
    )
    assert (bar["kind"], bar["name"], bar["state"]) == ("activity", "add", "completed")
    assert (bar["start"][17:19], bar["end"][17:19]) == ("01", "03")
    assert (bar["text"], bar["result"]) == ("[1, 2]", "3")


def test_what_is_not_answered_yet_is_open() -> None:
    (bar,) = timeline([event(10, 1, 3, FireAt="2026-01-02T00:00:00Z")])
    assert (bar["kind"], bar["state"], bar["end"]) == ("timer", "open", None)
    assert bar["fireAt"] == "2026-01-02T00:00:00Z"


def test_a_failure_has_its_reason() -> None:
    (bar,) = timeline(
        [
            event(7, 1, 2, Name="child", InstanceId="c", Input=None),
            event(9, 4, TaskScheduledId=2, Reason="no", Details="why"),
        ]
    )
    assert (bar["kind"], bar["state"], bar["reason"]) == ("sub-orchestration", "failed", "no")
    assert (bar["instanceId"], bar["details"]) == ("c", "why")


def test_what_happens_at_once_is_a_mark() -> None:
    rows = timeline(
        [
            event(0, 0, Name="main", Input='"x"'),
            event(15, 1, Name="go", Input="true"),
            event(19, 2, Reason="pause"),
            event(20, 3, Reason=""),
            event(14, 4, 0, Name="op", InstanceId="@counter@a", Input="{}"),
            event(3, 5, Input="enough"),
            event(1, 6, 1, OrchestrationStatus=5, Result='"enough"'),
        ]
    )
    assert [(row["kind"], row["name"], row["state"]) for row in rows] == [
        ("started", "main", "done"),
        ("event", "go", "done"),
        ("suspended", "pause", "done"),
        ("resumed", "", "done"),
        ("sent", "op", "done"),
        ("terminated", "enough", "failed"),
        ("ended", "Terminated", "done"),
    ]


def test_answers_to_nothing_are_left_out_and_long_texts_are_cut() -> None:
    rows = timeline([event(5, 1, TaskScheduledId=9, Result="1"), event(15, 2, Name="big", Input="x" * 9000)])
    assert [row["name"] for row in rows] == ["big"]
    assert rows[0]["text"].endswith("… (9000 characters)")


def test_functions_are_sorted_and_refused_ones_say_why() -> None:
    app = LoadedApp()
    app.functions = [
        define("Zeta", Binding("q", "queueTrigger", "IN", {"queueName": "work"})),
        define("alpha", Binding("a", "activityTrigger", "IN", {"activity": "other"})),
    ]
    app.refused = {"beta": "its binding is wrong"}
    log = RunLog()
    log.begin("alpha", "1")
    views = FunctionPage(app, log, [], route_prefix="api").functions()
    assert [(view["name"], view["trigger"], view["target"]) for view in views] == [
        ("alpha", "activity", "other"),
        ("beta", "", ""),
        ("Zeta", "queue", "work"),
    ]
    assert (views[0]["underWay"], views[0]["runs"][0]["milliseconds"]) == (1, None)
    assert (views[1]["state"], views[1]["reason"]) == ("refused", "its binding is wrong")


def test_a_queue_is_shown_once_with_all_who_use_it() -> None:
    trigger = Binding("q", "queueTrigger", "IN", {"queueName": "work"})
    output = Binding("o", "queue", "OUT", {"queueName": "work"})
    poison = Binding("p", "queueTrigger", "IN", {"queueName": "work-poison"})
    queues = app_queues([define("reads", trigger), define("both", trigger, output), define("cleans", poison)])
    assert [(q.name, q.readers, q.writers, q.poison_name) for q in queues] == [
        ("work", ["reads", "both"], ["both"], "work-poison"),
        ("work-poison", ["cleans"], [], None),
    ]


@dataclass
class Message:
    id: str
    content: str
    inserted_on: None = None
    dequeue_count: int = 1


@dataclass
class FakeQueue:
    """A queue whose deletes may fail, as when the host dies before them."""

    messages: list[Message] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    delete_fails: bool = False
    is_missing: bool = False

    def receive_messages(self, *, messages_per_page: int, visibility_timeout: int) -> Any:
        if self.is_missing:
            raise ResourceNotFoundError("no queue")
        batch = [m for m in self.messages if m.id not in self.hidden][:messages_per_page]
        self.hidden += [message.id for message in batch]

        async def one_page() -> AsyncIterator[Message]:
            for message in batch:
                yield message

        async def pages() -> AsyncIterator[AsyncIterator[Message]]:
            yield one_page()

        class Pages:
            def by_page(self) -> AsyncIterator[AsyncIterator[Message]]:
                return pages()

        return Pages()

    async def peek_messages(self, *, max_messages: int) -> list[Message]:
        return self.messages[:max_messages]

    async def send_message(self, text: str) -> None:
        self.messages.append(Message(f"new {text}", text))

    async def delete_message(self, message: Message) -> None:
        if self.delete_fails:
            raise ServiceRequestError("gone")
        self.messages.remove(message)

    async def update_message(self, message: Message, *, visibility_timeout: int) -> None:
        assert visibility_timeout == 0
        self.hidden.remove(message.id)


@dataclass
class FakeStorage:
    queues: dict[str, FakeQueue]

    def queue(self, connection: str, name: str) -> FakeQueue:
        return self.queues[name]


def page_of(work: FakeQueue, poison: FakeQueue) -> QueuePage:
    trigger = Binding("q", "queueTrigger", "IN", {"queueName": "work"})
    storage = cast("StorageConnections", FakeStorage({"work": work, "work-poison": poison}))
    return QueuePage([define("reads", trigger)], storage, "base64")


async def test_all_poison_messages_go_back() -> None:
    work, poison = FakeQueue(), FakeQueue([Message(str(n), f"text {n}") for n in range(70)])
    assert await page_of(work, poison).resubmit("work", None) == 70
    assert [message.content for message in work.messages] == [f"text {n}" for n in range(70)]
    assert poison.messages == []


async def test_one_poison_message_goes_back_and_the_others_are_shown_again() -> None:
    work, poison = FakeQueue(), FakeQueue([Message(str(n), f"text {n}") for n in range(5)])
    assert await page_of(work, poison).resubmit("work", "3") == 1
    assert [message.content for message in work.messages] == ["text 3"]
    assert [message.id for message in poison.messages] == ["0", "1", "2", "4"]
    assert poison.hidden == ["3"]


async def test_a_death_between_put_and_delete_loses_nothing() -> None:
    work, poison = FakeQueue(), FakeQueue([Message("1", "text")], delete_fails=True)
    with pytest.raises(QueueUnreachable):
        await page_of(work, poison).resubmit("work", None)
    assert [message.content for message in work.messages] == ["text"]
    assert [message.content for message in poison.messages] == ["text"]


async def test_a_missing_poison_queue_is_an_empty_one() -> None:
    page = page_of(FakeQueue(), FakeQueue(is_missing=True))
    assert await page.resubmit("work", None) == 0
    assert await page.resubmit("unknown", None) is None


async def test_a_queue_whose_name_hangs_on_the_trigger_has_no_length() -> None:
    output = Binding("o", "queue", "OUT", {"queueName": "orders-{country}"})
    storage = cast("StorageConnections", FakeStorage({}))
    (shown,) = await QueuePage([define("writes", output)], storage, "none").queues()
    assert (shown["name"], shown["length"], shown["error"]) == ("orders-{country}", None, "")


@pytest.mark.parametrize(
    ("stored", "shown"),
    [("aGVsbG8=", "hello"), ("hello there", "hello there"), ("//79", "//79"), ("PGI+eDwvYj4=", "<b>x</b>")],
)
async def test_a_poison_message_is_shown_decoded_where_it_can_be(stored: str, shown: str) -> None:
    (message,) = await page_of(FakeQueue(), FakeQueue([Message("1", stored)])).poison("work") or []
    assert message["text"] == shown


@dataclass
class FakeRequest:
    headers: CIMultiDict[str]


def guarded(address: str = "127.0.0.1", key: str | None = None, **headers: str) -> tuple[bool, bool, bool]:
    """Whether the page is shown, a call is let through, and its key is right."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    request: Any = FakeRequest(CIMultiDict(names))
    guard = RequestGuard(address, lambda: key)
    return (
        guard.refusal_of_page(request) is None,
        guard.refusal_of_call(request) is None,
        guard.has_key(request),
    )


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("localhost:7071", True), ("LOCALHOST", True), ("app.localhost:1", True), ("127.0.0.1:7071", True),
     ("[::1]:7071", True), ("192.168.1.5:7071", True), ("devbox:7071", True), ("evil.example", False),
     ("localhost.evil.example", False), ("", False), ("[::1", False), ("127.0.0.1.evil.example", False)],
)  # fmt: skip
def test_a_host_name_is_ours_when_no_foreign_dns_can_have_made_it(host: str, is_ours: bool) -> None:
    assert guarded("devbox", Host=host, X_Devhost_Page="1")[:2] == (is_ours, is_ours)


def test_with_a_master_key_only_that_opens_the_api() -> None:
    assert guarded(key="right", Host="localhost", x_functions_key="right")[2]
    assert not guarded(key="right", Host="localhost", x_functions_key="wrong")[2]
    assert not guarded(key="right", Host="localhost")[2]
    assert guarded(key=None, Host="localhost")[2]


def test_what_took_long_to_find_out_is_told_again_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = [100.0], list[str]()
    monkeypatch.setattr("devhost.page.remembered.time.monotonic", lambda: now[0])

    def ask(question: str) -> int:
        asked.append(question)
        now[0] += 0.5
        return len(asked)

    remembered = Remembered(ask)
    assert [remembered("a"), remembered("a"), remembered("b"), remembered("b")] == [1, 1, 2, 2]
    now[0] += 9.9
    assert remembered("b") == 2
    now[0] += 0.2
    assert remembered("b") == 3


def test_counts_and_lines_of_ten_thousand_instances_are_quickly_read(tmp_path: Path) -> None:
    hub = TaskHub(tmp_path / "hub.sqlite")
    try:
        rows = [(f"i{n:05d}", "x" * 2000, f"2026-01-01T00:00:00.{n:07d}Z") for n in range(10_000)]
        hub._db.executemany(
            "INSERT INTO instances (instance_id, execution_id, name, status, input, created, updated)"
            " VALUES (?1, 'e', 'main', 0, ?2, ?3, ?3)",
            rows,
        )
        counts: list[int] = []
        hub._db.set_progress_handler(lambda: counts.append(1) or 0, 10_000)  # type: ignore[func-returns-value]
        assert sum(hub.counts_by_status().values()) == 10_000
        page = hub.newest_instances(limit=51)
        assert (len(page), page[0].instance_id) == (51, "i09999")
        assert [line.instance_id for line in hub.newest_instances(prefix="i0123", limit=3)] == [
            "i01239", "i01238", "i01237"]  # fmt: skip
        assert hub.children("i00001") == []
        assert len(counts) < 30  # of ten thousand steps of SQLite's machine each
    finally:
        hub.close()
