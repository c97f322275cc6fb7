"""What the SDK is spared changes nothing that it gives."""

import sys
from collections import namedtuple
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.sdk_shortcuts import faster, take_shortcuts

HISTORY_EVENT = "azure.durable_functions.models.history.HistoryEvent"
EXECUTOR = "azure.durable_functions.models.TaskOrchestrationExecutor"
parser: Any = import_module("dateutil.parser")
tz: Any = import_module("dateutil.tz")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00.1200000Z",
        "2026-12-31T23:59:59.9999999Z",
        "2026-01-01T00:00:00.1Z",
        "2026-01-01T00:00:00.12+02:00",
        "2026-01-01 00:00:00Z",
        "1 January 2026",
    ],
)
def test_a_moment_is_the_one_that_the_sdk_reads(text: str) -> None:
    ours, theirs = faster(parser.parse, tz.tzutc())(text), parser.parse(text)
    assert (ours, ours.tzinfo) == (theirs, theirs.tzinfo)
    assert ours.isoformat() == theirs.isoformat()


def test_a_text_that_is_no_moment_is_refused_as_by_the_sdk() -> None:
    with pytest.raises(parser.ParserError):
        faster(parser.parse, tz.tzutc())("2026-13-01T00:00:00Z")


def test_the_format_of_devhost_never_reaches_the_slow_reader() -> None:
    def slow(text: str) -> datetime:
        raise AssertionError(text)

    assert faster(slow, tz.tzutc())("2026-01-01T00:00:00.1200000Z").tzinfo == tz.tzutc()


def test_the_sdk_of_a_loaded_app_gets_them_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert df.DFApp
    monkeypatch.setattr(sys.modules[HISTORY_EVENT], "dt_parse", parser.parse)
    monkeypatch.setattr(sys.modules[EXECUTOR], "namedtuple", namedtuple)
    assert take_shortcuts() == ["dt_parse", "namedtuple"]
    assert take_shortcuts() == []
    event = import_module(HISTORY_EVENT).HistoryEvent(0, -1, False, "2026-01-01T00:00:00.1200000Z")
    assert event.timestamp == parser.parse("2026-01-01T00:00:00.12Z")
    first, second = (import_module(EXECUTOR).TaskOrchestrationExecutor() for _ in range(2))
    kinds = [
        {type(value) for value in made.event_to_SetTaskValuePayload.values()} for made in (first, second)
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("module", [None, SimpleNamespace(), SimpleNamespace(dt_parse=len, namedtuple=len)])
def test_an_sdk_that_is_made_otherwise_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, module: SimpleNamespace | None
) -> None:
    for name in (HISTORY_EVENT, EXECUTOR):
        monkeypatch.setitem(sys.modules, name, module)
    before = dict(vars(module)) if module else {}
    assert take_shortcuts() == []
    assert (vars(module) if module else {}) == before
