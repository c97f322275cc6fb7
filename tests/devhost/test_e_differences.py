"""Contract E: where devhost deliberately differs, it says so at its start and in its docs."""

from datetime import timedelta
from pathlib import Path

from devhost.banner import differences
from devhost.indexing.app_loader import LoadedApp
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.queue.queue_settings import QueueSettings


def test_every_difference_that_is_printed_stands_in_the_docs() -> None:
    app = LoadedApp()
    kinds = ("httpTrigger", "queueTrigger", "timerTrigger", "orchestrationTrigger")
    for kind in kinds:
        trigger = Binding("b", kind, "IN", {})
        signature = Signature({}, {}, frozenset(), wants_context=False, return_binding=None)
        app.functions.append(FunctionDefinition(kind, print, trigger, (trigger,), signature, is_async=False))
    lease = timedelta(seconds=10)
    settings = QueueSettings(16, 8, 5, timedelta(0), timedelta(seconds=2), "none", lease)
    page = (Path(__file__).parents[2] / "docs" / "devhost.md").read_text()
    listed = page.partition("## Where it differs")[2].partition("\n## ")[0]
    bullets = [" ".join(part.replace("`", "").split()).lower() for part in listed.split("\n- ")[1:]]
    printed = [
        line.strip("\t- ").replace("`", "").replace(f"={lease}", "=<timespan>").lower()
        for line in differences(app, settings)[1:-1]
    ]
    assert len(bullets) == len(printed)
    for line in printed:
        assert any(bullet.startswith(line) for bullet in bullets), line
