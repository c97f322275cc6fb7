"""Every section of docs/host-contract.md has tests that are named after it, and no test names another."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
CONTRACT = TESTS.parent.parent / "docs" / "host-contract.md"
HEADING = re.compile(r"^## (?P<section>\w+(?:\.\d+)?) .+\n(?P<held>.+)$", re.MULTILINE)
# Longest first: test_b5_10_start.py names B5.10, not B5.1 or B5.
NAMED = re.compile(r"test_(s0|b\d+_\d+|b\d+|[ef])_.+\.py")


def sections() -> dict[str, str]:
    """Each section of the contract with the line below its heading."""
    return {match["section"]: match["held"] for match in HEADING.finditer(CONTRACT.read_text("utf-8"))}


def prefix(section: str) -> str:
    """How the names of a section's test modules begin after `test_`."""
    return "s0" if section == "0" else section.lower().replace(".", "_")


def test_the_sections_of_the_contract_are_found() -> None:
    found = sections()
    assert list(found)[:2] == ["0", "B1"]
    assert {"B5.1", "B5.11", "B6", "E", "F"} <= found.keys()


@pytest.mark.parametrize("section", sections())
def test_a_section_says_which_tests_hold_it_and_they_are_there(section: str) -> None:
    held = sections()[section]
    if section == "F":
        assert held.startswith("No tests: ")
        return
    pattern = f"test_{prefix(section)}_*.py"
    assert held == f"Tests: `tests/devhost/{pattern}`"
    modules = list(TESTS.glob(pattern))
    assert modules, f"no test is named after section {section}"
    assert any("def test_" in module.read_text("utf-8") for module in modules)


def test_no_test_is_named_after_a_section_that_is_not_there() -> None:
    known = {prefix(section) for section in sections()} - {"f"}
    named = {
        module.name: match[1] for module in TESTS.glob("test_*.py") if (match := NAMED.match(module.name))
    }
    assert len(named) > 10
    assert {name for name, section in named.items() if section not in known} == set()
