"""`make setup`: does nothing where all is there, begins again what was broken off, says what is missing."""

import os
import shutil
from pathlib import Path

import pytest

from tests.local.checkout import INSTALLED, Checkout

SECONDS = 30
NOTHING_TO_DO = (0, "make: Nothing to be done for 'setup'.\n")
# Both leave half of their work behind and are killed, the first time.
NPM = """#!/bin/sh
rm -rf node_modules; mkdir node_modules; touch node_modules/half
if [ ! -e ../was-killed ]; then touch ../was-killed; kill -9 $$; fi
touch node_modules/whole
"""
PIP = """#!/bin/sh
mkdir -p .venv/lib; touch .venv/lib/half
if [ ! -e was-killed ]; then touch was-killed; kill -9 $$; fi
touch .venv/lib/whole
"""
PYTHON = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then mkdir -p .venv/bin; cp pip .venv/bin/python; fi
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_where_all_is_installed_nothing_is_done(checkout: Checkout) -> None:
    assert setup(checkout) == NOTHING_TO_DO


def test_an_npm_that_was_broken_off_is_begun_again(checkout: Checkout) -> None:
    modules = checkout.root / "local" / "node_modules"
    (modules / INSTALLED).unlink()
    own_bin = checkout.root / ".venv" / "bin"
    own_bin.unlink()
    own_bin.mkdir()
    program(own_bin / "npm", NPM)
    code, _ = setup(checkout)
    assert code != 0
    assert {path.name for path in modules.iterdir()} == {"half"}
    code, _ = setup(checkout)
    assert code == 0
    assert {path.name for path in modules.iterdir()} == {"half", "whole", INSTALLED}
    assert setup(checkout) == NOTHING_TO_DO


@pytest.mark.parametrize("before", ["nothing was installed", "other requirements were installed"])
def test_a_pip_that_was_broken_off_is_begun_again(checkout: Checkout, before: str) -> None:
    shutil.rmtree(checkout.root / ".venv")  # the links alone
    own_bin = checkout.root / "bin"
    own_bin.mkdir()
    program(own_bin / "python3.11", PYTHON)
    program(checkout.root / "pip", PIP)
    if before == "other requirements were installed":
        (checkout.root / ".venv").mkdir()
        (checkout.root / ".venv" / INSTALLED).touch()
        os.utime(checkout.root / ".venv" / INSTALLED, (0, 0))
    path = f"{own_bin}:/usr/bin:/bin"
    code, _ = setup(checkout, PATH=path)
    assert code != 0
    assert not (checkout.root / ".venv" / "lib" / "whole").exists()
    code, _ = setup(checkout, PATH=path)
    assert code == 0
    assert (checkout.root / ".venv" / "lib" / "whole").exists()
    assert setup(checkout, PATH=path) == NOTHING_TO_DO


def test_a_missing_python_is_told_in_one_line(checkout: Checkout) -> None:
    shutil.rmtree(checkout.root / ".venv")  # the links alone
    code, output = setup(checkout, PATH=str(checkout.root))
    assert code != 0
    line, makes_own = output.splitlines()
    assert line.startswith("Python 3.11 is missing: install it")
    assert makes_own.startswith("make: ***")


def setup(checkout: Checkout, **environment: str) -> tuple[int, str]:
    """Exit code and output of `make setup`."""
    make = checkout.start("/usr/bin/make", "setup", **environment)
    return make.wait(seconds=SECONDS), make.log_text()


def program(path: Path, text: str) -> None:
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)
