"""Fixtures for every suite that needs a real process, and what becomes of page tests without a browser."""

import os
import shutil
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from local.azurite import Azurite, start_azurite, wait_for_azurite
from local.ports import Ports
from local.processes import StackError

NO_CHROMIUM = "Chromium is missing: sudo apt-get install -y chromium fonts-liberation"
SKIPPED = pytest.StashKey[int]()


def chromium() -> str | None:
    """The browser's path, where the machine has one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without Chromium page tests are skipped, loudly; REQUIRE_PAGE_TESTS=1 has them run, and fail."""
    if chromium() or os.environ.get("REQUIRE_PAGE_TESTS") == "1":
        return
    for item in items:
        if item.get_closest_marker("page"):
            item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Counted here, for with several workers only their reports come to the process that prints."""
    skipped = terminalreporter.stats.get("skipped", [])
    config.stash[SKIPPED] = sum(NO_CHROMIUM in str(report.longrepr) for report in skipped)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What a test has logged may hold halves of characters, which no worker can hand over."""
    report = yield
    report.sections = [
        (title, text.encode("utf-8", "backslashreplace").decode("utf-8")) for title, text in report.sections
    ]
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """The very last lines, after pytest's own."""
    if skipped := config.stash.get(SKIPPED, 0):
        sys.stderr.flush()
        print(f"\n*** {skipped} PAGE TESTS WERE NOT RUN. {NO_CHROMIUM} ***", flush=True)  # noqa: T201


@pytest.fixture(scope="session")
def chromium_path() -> str:
    path = chromium()
    if path is None:
        pytest.fail(NO_CHROMIUM, pytrace=False)
    return path


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """A real Azurite on ports of its own, with data of its own: ``azurite.connection_string`` leads to it."""
    place = tmp_path_factory.mktemp("azurite")
    try:
        started = start_azurite(Ports.free(), data=place / "data", logs=place)
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    try:
        wait_for_azurite(started)
        yield started
    finally:
        started.process.stop()


@pytest.fixture
def own_azurite(tmp_path: Path) -> Iterator[Azurite]:
    """A storage of the run's own: the queue's name is the app's, and so is the ledger's."""
    azurite = start_azurite(Ports.free(), data=tmp_path / "azurite", logs=tmp_path)
    try:
        wait_for_azurite(azurite)
        yield azurite
    finally:
        azurite.process.stop()
