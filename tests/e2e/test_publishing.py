"""What would be published to Azure, run from a directory that holds nothing else."""

from pathlib import Path

import pytest

from local.functions_host import ROOT
from local.playground import playground_url
from local.playground_driver import PlaygroundDriver
from local.processes import StackError
from tests.e2e.conftest import quick_stack
from tests.e2e.publishing import publish, published_files

NOT_DEPLOYED = (
    "devhost",
    "local",
    "testconnector",
    "tests",
    "bench",
    "docs",
    "infra",
    "appPackage",
    ".venv",
    ".ci",
    ".git",
)


def test_only_what_the_app_needs_is_published() -> None:
    names = [path.as_posix() for path in published_files(ROOT)]
    assert {"function_app.py", "host.json", "requirements.txt", "agent/cards/welcome.json"} <= set(names)
    assert not [name for name in names if name.split("/")[0] in NOT_DEPLOYED]
    assert not [name for name in names if "settings.json" in name or name.endswith(".md")]


async def test_the_published_files_run_on_their_own(tmp_path: Path) -> None:
    app = tmp_path / "app"
    publish(ROOT, app)
    # devhost alone is at hand there, so that nothing of the checkout can be imported by accident.
    home = tmp_path / "home"
    home.mkdir()
    (home / "devhost").symlink_to(ROOT / "devhost")
    stack = quick_stack(tmp_path / "data", {})
    stack.script_root, stack.devhost_home = app, home
    try:
        stack.start()
        async with PlaygroundDriver(playground_url(stack.ports)) as playground:
            await playground.say("order a laptop")
            await playground.wait_for("Thank you for ordering a laptop", seconds=10)
            await playground.wait_for("I have successfully placed your order", seconds=30)
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    finally:
        stack.stop()
