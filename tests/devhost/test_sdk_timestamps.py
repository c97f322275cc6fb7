"""The faster reader of timestamps gives the SDK what its own gives."""

import sys
from datetime import datetime
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import azure.durable_functions as df
import pytest

from devhost.durable.sdk_timestamps import faster, read_timestamps_fast

HISTORY_EVENT = "azure.durable_functions.models.history.HistoryEvent"
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


def test_the_sdk_of_a_loaded_app_gets_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert df.DFApp
    monkeypatch.setattr(sys.modules[HISTORY_EVENT], "dt_parse", parser.parse)
    assert read_timestamps_fast()
    assert not read_timestamps_fast()
    event = import_module(HISTORY_EVENT).HistoryEvent(0, -1, False, "2026-01-01T00:00:00.1200000Z")
    assert event.timestamp == parser.parse("2026-01-01T00:00:00.12Z")


@pytest.mark.parametrize("module", [None, SimpleNamespace(), SimpleNamespace(dt_parse=len)])
def test_an_sdk_that_is_made_otherwise_stays_as_it_is(
    monkeypatch: pytest.MonkeyPatch, module: SimpleNamespace | None
) -> None:
    monkeypatch.setitem(sys.modules, HISTORY_EVENT, module)
    before = dict(vars(module)) if module else {}
    assert not read_timestamps_fast()
    assert (vars(module) if module else {}) == before
