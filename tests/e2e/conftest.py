"""Fixtures of the end-to-end tests: whole stacks, on ports and with data of their own."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from local.playground import playground_url
from local.playground_driver import PlaygroundDriver
from local.ports import Ports
from local.processes import StackError
from local.settings_file import EXAMPLE_FILE, values_of
from local.stack import Stack

# The background work as in production, only shorter.
QUICK = {"OrderWaitSeconds": "2", "OrderDeliverySeconds": "2"}

RunStack = Callable[..., AbstractContextManager[Stack]]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what devhost had to say."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        for log in sorted(stack.logs.glob("devhost.log*")):
            report.sections.append((log.name, log.read_text(encoding="utf-8", errors="replace")[-20000:]))
    return report


@pytest.fixture(scope="session")
def run_stack(tmp_path_factory: pytest.TempPathFactory) -> RunStack:
    """Runs a stack for the length of a ``with`` block; ``settings`` win over those of the example."""

    @contextmanager
    def run(settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
        place = tmp_path_factory.mktemp("stack")
        stack = quick_stack(place, settings or {})
        try:
            stack.start()
            yield stack
            stack.raise_if_one_died()
        except StackError as error:
            pytest.fail(str(error), pytrace=False)
        finally:
            stack.stop()

    return run


def quick_stack(place: Path, settings: Mapping[str, str]) -> Stack:
    return Stack(
        ports=Ports.free(),
        data=place,
        task_hub=place / "devhost",
        settings={**values_of(EXAMPLE_FILE), **QUICK, **settings},
    )


@pytest.fixture(scope="module")
def stack(run_stack: RunStack) -> Iterator[Stack]:
    """One stack for the tests of a module."""
    with run_stack() as running:
        yield running


@pytest.fixture
async def playground(stack: Stack) -> AsyncIterator[PlaygroundDriver]:
    """A fresh view of the module's Playground: it shows only what comes from now on."""
    async with PlaygroundDriver(playground_url(stack.ports)) as driver:
        yield driver
