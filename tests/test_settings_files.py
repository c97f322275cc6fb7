"""host.json and the example settings are what Azure Functions' public JSON schemas allow."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[1]
SCHEMAS = Path(__file__).parent / "schemas"


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        ("host.json", "host.schema.json"),
        ("local.settings.json.example", "local.settings.schema.json"),
    ],
)
def test_the_file_is_valid_by_its_public_schema(file: str, schema: str) -> None:
    jsonschema.Draft4Validator(read(SCHEMAS / schema)).validate(read(ROOT / file))


def test_the_schema_of_host_json_names_a_planted_fault() -> None:
    host = read(ROOT / "host.json")
    host["extensions"]["queues"]["batchSize"] = 64
    validator = jsonschema.Draft4Validator(read(SCHEMAS / "host.schema.json"))
    faults = [fault.message for error in validator.iter_errors(host) for fault in error.context]
    assert "64 is greater than the maximum of 32" in faults
