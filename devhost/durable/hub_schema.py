"""The tables of a task hub's file; `user_version` is the number of their layout."""

import sqlite3
from pathlib import Path

from devhost.errors import HostStartError

VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS instances (
    instance_id TEXT PRIMARY KEY, execution_id TEXT NOT NULL, name TEXT NOT NULL, status INTEGER NOT NULL,
    input TEXT, output TEXT, custom_status TEXT, created TEXT NOT NULL, updated TEXT NOT NULL,
    parent_id TEXT, parent_execution_id TEXT, parent_task_id INTEGER, parent_name TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS instances_by_creation ON instances (created, instance_id);
CREATE INDEX IF NOT EXISTS instances_by_parent ON instances (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS history (
    instance_id TEXT NOT NULL, position INTEGER NOT NULL, event TEXT NOT NULL,
    PRIMARY KEY (instance_id, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT,
    event TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS messages_by_instance ON messages (instance_id, message_id);
CREATE TABLE IF NOT EXISTS activities (
    activity_id INTEGER PRIMARY KEY AUTOINCREMENT, instance_id TEXT NOT NULL, execution_id TEXT NOT NULL,
    task_id INTEGER NOT NULL, name TEXT NOT NULL, input TEXT);
CREATE INDEX IF NOT EXISTS activities_by_instance ON activities (instance_id);
CREATE TABLE IF NOT EXISTS timers (
    instance_id TEXT NOT NULL, execution_id TEXT NOT NULL, task_id INTEGER NOT NULL, fire_at TEXT NOT NULL,
    PRIMARY KEY (instance_id, execution_id, task_id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS timers_by_time ON timers (fire_at);
CREATE TABLE IF NOT EXISTS timer_triggers (function TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entities (
    entity_id TEXT PRIMARY KEY, state TEXT, created TEXT NOT NULL, updated TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entity_messages (
    message_id INTEGER PRIMARY KEY AUTOINCREMENT, entity_id TEXT NOT NULL, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS entity_messages_by_entity ON entity_messages (entity_id, message_id);
"""

# What each layout lacks of the next one, but for tables and indexes, which _TABLES makes.
_STEPS = {
    1: (
        "ALTER TABLE instances ADD COLUMN parent_id TEXT",
        "ALTER TABLE instances ADD COLUMN parent_execution_id TEXT",
        "ALTER TABLE instances ADD COLUMN parent_task_id INTEGER",
        "ALTER TABLE instances ADD COLUMN parent_name TEXT",
    )
}


def bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or change older ones, in one transaction. Raises HostStartError for a newer file."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > VERSION:
            raise HostStartError(
                f"The task hub {path} was written by a newer devhost (layout {version}, this one knows "
                f"{VERSION}). Start that one, or choose another --data-dir."
            )
        for older in range(version or VERSION, VERSION):  # a new file has layout 0, and no tables to change
            for statement in _STEPS.get(older, ()):
                db.execute(statement)
        if version < VERSION:
            for statement in _TABLES.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
