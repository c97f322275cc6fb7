"""Contract E: where devhost deliberately differs, it says so at its start and in its docs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from devhost.banner import differences
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.queue.queue_settings import QueueSettings
from tests.devhost.host_process import DevhostProcess

LEASE = timedelta(seconds=10)
QUEUES = QueueSettings(16, 8, 5, timedelta(0), timedelta(seconds=2), "none", LEASE)


def app_with(*kinds: str) -> LoadedApp:
    """An app with one function of each trigger type."""
    app = LoadedApp()
    for kind in kinds:
        trigger = Binding("b", kind, "IN", {})
        signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
        app.functions.append(FunctionDefinition(kind, print, trigger, (trigger,), signature, is_async=False))
    return app


def test_every_difference_that_is_printed_stands_in_the_docs() -> None:
    app = app_with("httpTrigger", "queueTrigger", "timerTrigger", "orchestrationTrigger")
    page = (Path(__file__).parents[2] / "docs" / "devhost.md").read_text()
    listed = page.partition("## Where it differs")[2].partition("\n## ")[0]
    bullets = [" ".join(part.replace("`", "").split()).lower() for part in listed.split("\n- ")[1:]]
    printed = [
        line.strip("\t- ").replace("`", "").replace(f"={LEASE}", "=<timespan>").lower()
        for line in differences(app, QUEUES)[1:-1]
    ]
    assert len(bullets) == len(printed)
    for line in printed:
        assert any(bullet.startswith(line) for bullet in bullets), line


@pytest.mark.parametrize(
    "words",
    [
        "calling an unknown activity",
        "with --enable-auth only",
        "share the one HTTP port",
        "live in a SQLite file",
        "queue messages are leased for that long",
    ],
)
def test_what_the_contract_recommends_is_among_them(words: str) -> None:
    app = app_with("httpTrigger", "queueTrigger", "entityTrigger")
    assert any(words in line for line in differences(app, QUEUES))


def test_an_app_is_told_what_it_can_notice_only() -> None:
    told = " ".join(differences(app_with("httpTrigger"), replace(QUEUES, lease=timedelta(minutes=10))))
    for word in ("orchestrations", "timer", "queue"):
        assert word not in told
    assert "--enable-auth" not in " ".join(differences(app_with("timerTrigger"), QUEUES))


def test_a_start_prints_them_below_the_functions(everything: DevhostProcess) -> None:
    head, _, rest = everything.log.partition("Differences from the real host:\n")
    assert "For detailed output, run func with --verbose flag." in head
    assert rest.startswith("\t- orchestrations and entities live in a SQLite file")
