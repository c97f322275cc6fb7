"""Each kind of job is what the app will ask it to be: what is misspelt would never be called."""

import inspect
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.conversation import Conversation
from agent.jobs.catalog import JOBS, LONGEST_TITLE, title_of
from agent.jobs.definition import (
    Approved,
    Cancellable,
    Composed,
    Job,
    JobDefinition,
    Retried,
    Streamed,
    Titled,
)
from agent.jobs.request_licence import RequestLicence

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CHAT = Conversation(channel_id="msteams", conversation_id="a:chat", service_url="https://smba.example/")
PROTOCOLS: tuple[Any, ...] = (JobDefinition, Cancellable, Approved, Titled, Retried, Streamed, Composed)


def methods_of(kind: Any) -> dict[str, Callable[..., Any]]:
    return {
        name: method
        for name, method in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


KNOWN = {name: method for protocol in PROTOCOLS for name, method in methods_of(protocol).items()}
FIELDS = {name for protocol in PROTOCOLS for name in inspect.get_annotations(protocol)}


def faults_of(definition: Any) -> list[str]:
    """What the app would not find, or call otherwise than it is written."""
    faults = []
    for name, method in methods_of(type(definition)).items():
        if name not in KNOWN:
            faults.append(f"{name} is never called: is it misspelt? What is your own begins with _")
            continue
        taken, given = (list(inspect.signature(one).parameters) for one in (method, KNOWN[name]))
        if taken != given:
            faults.append(f"{name} takes {taken}, and is called with {given}")
    fields = {name for name, value in vars(type(definition)).items() if not inspect.isfunction(value)}
    unknown = {name for name in fields if name.islower() and not name.startswith("_")}
    faults += [f"{name} is never read" for name in sorted(unknown - FIELDS)]
    return faults


@pytest.mark.parametrize("definition", JOBS, ids=lambda definition: definition.kind)
def test_all_that_a_kind_of_job_has_is_called_as_it_is_written(definition: JobDefinition) -> None:
    assert faults_of(definition) == []


@pytest.mark.parametrize("definition", JOBS, ids=lambda definition: definition.kind)
def test_a_kind_of_job_has_a_name_a_title_and_some_time(definition: JobDefinition) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]{0,63}", definition.kind)
    assert definition.title
    assert definition.deadline > timedelta(0)


def test_no_two_kinds_have_the_same_name() -> None:
    kinds = [definition.kind for definition in JOBS]
    assert len(set(kinds)) == len(kinds)


class Misspelt:
    kind = "misspelt"
    title = "Misspelt"
    deadline = timedelta(days=1)
    try_count = 3

    async def aproval(self, job: Job, *, services: Any) -> None: ...

    async def cancel(self, job: Job) -> None: ...


def test_what_is_misspelt_is_found() -> None:
    assert faults_of(Misspelt()) == [
        "aproval is never called: is it misspelt? What is your own begins with _",
        "cancel takes ['self', 'job'], and is called with ['self', 'job', 'state', 'services']",
        "try_count is never read",
    ]


def a_job(kind: str, request: Any) -> Job:
    return Job(job_id="1", kind=kind, requested_at=NOW, requested_by=CHAT, request=request)


def test_two_jobs_of_one_kind_are_told_apart_by_what_they_are_for() -> None:
    sketch = a_job("request_licence", "I need a licence for Sketch")
    assert title_of(sketch) == "Request a software licence: Sketch"
    assert title_of(a_job("order_laptop", "order a laptop")) == "Order a laptop"


def test_a_title_of_any_length_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RequestLicence, "title_of", lambda *_: "x" * 500)
    assert title_of(a_job("request_licence", "a licence")) == "x" * LONGEST_TITLE


def test_the_words_of_a_job_are_what_was_said_and_no_data_of_a_button() -> None:
    assert a_job("order_laptop", "order a laptop").words == "order a laptop"
    assert a_job("order_laptop", {"job": "order_laptop"}).words == ""
