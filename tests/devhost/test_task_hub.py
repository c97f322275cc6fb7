"""The store: what one transaction changes, and what a restart finds."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devhost.durable.history import Event, EventType, Status, event, execution_started, parse_utc, utc_text
from devhost.durable.instance_filter import InstanceFilter, read_token, write_token
from devhost.durable.records import Episode, EpisodeChange, InstanceActive
from devhost.durable.task_hub import TaskHub
from devhost.errors import HostStartError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[TaskHub]:
    opened = TaskHub(tmp_path / "hub.sqlite")
    yield opened
    opened.close()


def create(hub: TaskHub, instance_id: str = "i", execution_id: str = "1", now: datetime = NOW) -> None:
    hub.create_instance(
        instance_id, execution_id, "o", execution_started(instance_id, execution_id, "o", None, now), now
    )


def loaded(hub: TaskHub, instance_id: str = "i") -> Episode:
    episode = hub.load_episode(instance_id)
    assert episode is not None
    return episode


def change(status: Status = Status.RUNNING, history: list[Event] | None = None) -> EpisodeChange:
    return EpisodeChange(history=history or [], status=status, custom_status=None, updated=NOW)


def raised(name: str = "e") -> Event:
    return event(EventType.EVENT_RAISED, NOW, Name=name, Input="1")


def test_an_active_id_is_refused_and_an_ended_one_is_overwritten(hub: TaskHub) -> None:
    create(hub)
    with pytest.raises(InstanceActive, match="Pending"):
        create(hub)
    hub.commit_episode(loaded(hub), change(Status.COMPLETED, [raised()]))
    create(hub, execution_id="2")
    instance = hub.instance("i")
    assert instance is not None
    assert (instance.execution_id, instance.status) == ("2", Status.PENDING)
    assert hub.history("i") == []


def test_a_message_that_comes_during_a_step_waits_for_the_next(hub: TaskHub) -> None:
    create(hub)
    episode = loaded(hub)
    hub.add_event("i", raised("late"))
    hub.commit_episode(episode, change(history=[raised("history")]))
    following = loaded(hub)
    assert [message["Name"] for message in following.messages] == ["late"]
    assert len(following.past) == 1


def test_messages_for_an_ended_instance_and_an_unknown_one_are_dropped(hub: TaskHub) -> None:
    create(hub)
    hub.commit_episode(loaded(hub), change(Status.COMPLETED))
    hub.add_event("i", raised())
    hub.add_event("nobody", raised())
    assert sorted(hub.waiting_instances()) == ["i", "nobody"]
    assert hub.load_episode("i") is None
    assert hub.load_episode("nobody") is None
    assert hub.waiting_instances() == []


def test_a_step_that_fails_to_be_stored_changes_nothing(hub: TaskHub) -> None:
    create(hub)
    episode = loaded(hub)
    broken = EpisodeChange(
        history=[raised()],
        status=Status.COMPLETED,
        custom_status=None,
        updated=NOW,
        timers=[(1, NOW), (1, NOW)],  # one timer twice: the store refuses it, after it took the rest
    )
    with pytest.raises(Exception, match="UNIQUE"):
        hub.commit_episode(episode, broken)
    assert loaded(hub) == episode


def test_a_restart_finds_activities_timers_and_messages(tmp_path: Path) -> None:
    hub = TaskHub(tmp_path / "hub.sqlite")
    create(hub)
    committed = hub.commit_episode(
        loaded(hub),
        EpisodeChange(
            history=[raised()],
            status=Status.RUNNING,
            custom_status='"s"',
            updated=NOW,
            activities=[(0, "a", "[1]"), (1, "b", None)],
            timers=[(2, NOW + timedelta(seconds=5))],
        ),
    )
    work = hub.pending_activities()
    assert [one.activity_id for one in work] == hub.pending_activity_ids() == committed.activities
    hub.complete_activity(work[0], event(EventType.TASK_COMPLETED, NOW, TaskScheduledId=0, Result="1"))
    hub.close()
    hub = TaskHub(tmp_path / "hub.sqlite")
    assert hub.pending_activities() == [work[1]]
    assert hub.waiting_instances() == ["i"]
    assert hub.next_timer() == "2026-01-01T00:00:05.0000000Z"
    assert hub.due_timers(NOW) == []
    due = hub.due_timers(NOW + timedelta(seconds=5))
    hub.fire_timers((row, event(EventType.TIMER_FIRED, NOW, TimerId=row[2], FireAt=row[3])) for row in due)
    assert [m["EventType"] for m in loaded(hub).messages] == [EventType.TASK_COMPLETED, EventType.TIMER_FIRED]
    assert hub.next_timer() is None
    hub.close()


def test_a_new_execution_begins_with_its_start_and_then_the_events_in_their_order(hub: TaskHub) -> None:
    create(hub)
    episode = loaded(hub)
    hub.add_event("i", raised("meanwhile"))
    started = execution_started("i", "2", "o", '"x"', NOW)
    over = EpisodeChange(
        history=[],
        status=Status.RUNNING,
        custom_status=None,
        updated=NOW,
        starts_over=("2", '"x"'),
        messages=[started, raised("carried")],
    )
    hub.commit_episode(episode, over)
    following = loaded(hub)
    assert following.instance.execution_id == "2"
    assert [message["Name"] for message in following.messages] == ["o", "carried", "meanwhile"]


def test_only_ended_instances_are_purged(hub: TaskHub) -> None:
    create(hub, "ended")
    create(hub, "active")
    hub.commit_episode(loaded(hub, "ended"), change(Status.FAILED))
    assert hub.purge(["ended", "active", "unknown"]) == 1
    assert [instance.instance_id for instance in hub.instances()] == ["active"]


def test_a_purge_takes_everything_that_an_instance_left(hub: TaskHub) -> None:
    create(hub)
    ended = EpisodeChange(
        history=[raised()],
        status=Status.FAILED,
        custom_status=None,
        updated=NOW,
        activities=[(0, "a", None)],
        timers=[(1, NOW)],
    )
    (activity_id,) = hub.commit_episode(loaded(hub), ended).activities
    hub.add_event("i", raised())
    work = hub.activity(activity_id)
    assert work is not None
    assert hub.purge(["i"]) == 1
    for table in ("instances", "history", "messages", "activities", "timers"):
        assert hub._db.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table  # noqa: S608
    assert hub.activity(activity_id) is None
    hub.complete_activity(work, event(EventType.TASK_COMPLETED, NOW, TaskScheduledId=0, Result="1"))
    assert hub.waiting_instances() == []


def test_a_list_walks_along_an_index_and_sorts_nothing(hub: TaskHub) -> None:
    steps: list[str] = []
    hub._db.set_trace_callback(steps.append)
    hub.instances(InstanceFilter(created_from="2026"), after=("2026", "i"), limit=3)
    hub._db.set_trace_callback(None)
    plan = " ".join(row[3] for row in hub._db.execute(f"EXPLAIN QUERY PLAN {steps[0]}"))
    assert "USING INDEX instances_by_creation" in plan
    assert "TEMP B-TREE" not in plan


def test_the_file_says_which_layout_it_has(hub: TaskHub) -> None:
    assert hub._db.execute("PRAGMA user_version").fetchone() == (2,)


FIRST_LAYOUT = """
CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, name TEXT NOT NULL, status INTEGER NOT NULL,
    input TEXT, output TEXT, custom_status TEXT, created TEXT NOT NULL, updated TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX instances_by_creation ON instances (created, instance_id);
CREATE TABLE history (
    instance_id TEXT NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (instance_id, position)) WITHOUT ROWID;
CREATE TABLE timers (
    instance_id TEXT NOT NULL, execution_id TEXT NOT NULL, task_id INTEGER NOT NULL, fire_at TEXT NOT NULL,
    PRIMARY KEY (instance_id, execution_id, task_id)) WITHOUT ROWID;
INSERT INTO instances VALUES ('old', '1', 'o', 0, '"x"', NULL, NULL, '2026', '2026');
INSERT INTO history VALUES ('old', 0, '{"EventType":12}');
INSERT INTO timers VALUES ('old', '1', 0, '2026-01-01T00:00:05.0000000Z');
PRAGMA user_version = 1;
"""


def test_a_file_of_the_first_layout_is_brought_up_to_date_with_what_is_in_it(tmp_path: Path) -> None:
    old = sqlite3.connect(tmp_path / "old.sqlite")
    old.executescript(FIRST_LAYOUT)
    old.close()
    for _ in range(2):  # once brought up to date it stays so
        hub = TaskHub(tmp_path / "old.sqlite")
        instance = hub.instance("old")
        assert instance is not None
        assert (instance.input_text, instance.parent) == ('"x"', None)
        assert hub.history("old") == ['{"EventType":12}']
        assert hub.next_timer() == "2026-01-01T00:00:05.0000000Z"
        assert hub.waiting_entities() == []
        assert hub._db.execute("PRAGMA user_version").fetchone() == (2,)
        hub.close()


def test_a_file_of_a_layout_to_come_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "new.sqlite"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 3")
    newer.close()
    with pytest.raises(HostStartError, match="written by a newer devhost"):
        TaskHub(path)
    again = sqlite3.connect(path)
    assert again.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone() == (0,)
    again.close()


def test_a_list_is_filtered_and_goes_on_where_it_stopped(hub: TaskHub) -> None:
    for number in range(5):
        create(hub, f"{'ab'[number % 2]}{number}", now=NOW + timedelta(minutes=number))
    wanted = InstanceFilter.from_query(
        {"instanceIdPrefix": "a", "top": "2", "RuntimeStatus": "Pending,Running"}
    )
    assert wanted.top == 2
    first = hub.instances(wanted, limit=2)
    assert [instance.instance_id for instance in first] == ["a0", "a2"]
    rest = hub.instances(wanted, after=read_token(write_token(first[-1])))
    assert [instance.instance_id for instance in rest] == ["a4"]
    late = InstanceFilter.from_query({"createdTimeFrom": "2026-01-01T00:03:00.000000Z"})
    assert [i.instance_id for i in hub.instances(late)] == ["b3", "a4"]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T00:00:00Z", NOW),
        ("2026-01-01T00:00:00", NOW),
        ("2026-01-01T00:00:00.1234567Z", NOW + timedelta(microseconds=123456)),
        ("2026-01-01T01:00:00.5+01:00", NOW + timedelta(milliseconds=500)),
    ],
)
def test_moments_are_read_with_any_number_of_decimals(text: str, moment: datetime) -> None:
    assert parse_utc(text) == moment
    assert parse_utc(utc_text(moment)) == moment
