"""Bad settings files: whatever they hold, the host starts, or says in one sentence why it does not.

`FUZZ_EXAMPLES=20000 python -m pytest tests/devhost/test_fuzz_settings.py` tries more of them.
"""

import json
import os
import random
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from devhost.command.local_settings import HostSection, apply_local_settings, read_local_settings
from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.host_json_keys import HONOURED, IGNORED
from devhost.host_settings import HostSettings
from devhost.log_level import LogLevels
from tests.devhost.conftest import StartHost
from tests.devhost.written_app import ONE, write_app

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "100"))
quickly = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    print_blob=True,
)

_odd_numbers = st.sampled_from([0, -1, 1.5, 1e308, -1e308, 10**400, 2**63, float("nan"), float("inf"), True])
_odd_texts = st.sampled_from(
    [
        "",
        " ",
        "0",
        "-1",
        "true",
        "00:00:01",
        "99999999.00:00:00",
        "-00:00:01",
        "%",
        "%a%",
        "\0",
        "\ud800",
        "9" * 5000,
    ]
)
_scalars = st.one_of(
    st.none(), st.booleans(), _odd_numbers, st.floats(), st.integers(), _odd_texts, st.text(max_size=8)
)
_values = st.recursive(
    _scalars,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3), st.dictionaries(st.text(max_size=6), inside, max_size=3)
    ),
    max_leaves=6,
)
_paths = st.one_of(
    st.sampled_from(sorted({*HONOURED, *IGNORED})), st.lists(st.text(max_size=5), min_size=1).map(".".join)
)
host_jsons = st.tuples(st.lists(st.tuples(_paths, _values), max_size=4), st.booleans())
_local_sections = st.dictionaries(
    st.one_of(
        st.sampled_from(
            ["LocalHttpPort", "localhttpaddress", "CORS", "CORSCredentials", "A", "", "a=b", "\0"]
        ),
        st.text(max_size=6),
    ),
    _values,
    max_size=4,
)
local_settings = st.dictionaries(
    st.one_of(
        st.sampled_from(["IsEncrypted", "Values", "ConnectionStrings", "Host", "values", "isencrypted"]),
        st.text(max_size=6),
    ),
    st.one_of(_local_sections, _values, st.just(False)),
    max_size=5,
)
JSON_DEPTHS = (10, 1_000, 200_000)


def placed(entries: list[tuple[str, Any]]) -> dict[str, Any]:
    """A host.json with values at dotted paths; a later one takes an earlier one's place."""
    content: dict[str, Any] = {"version": "2.0"}
    for path, value in entries:
        node = content
        *above, last = path.split(".")
        for part in above:
            inner = node.get(part)
            node[part] = inner = inner if isinstance(inner, dict) else {}
            node = inner
        node[last] = value
    return content


def read_everything(place: Path) -> str | None:
    """Read both files as a start does; returns the reason of a refusal."""
    with mock.patch.dict(os.environ):
        try:
            local = read_local_settings(place)
            HostSection.read(local)
            apply_local_settings(local)
            host_json = HostJson.read(place)
            list(host_json.report().lines())
            LogLevels.read(host_json)
            HostSettings.read(host_json)
        except HostStartError as reason:
            return str(reason)
    return None


def refused_in_a_sentence(place: Path) -> bool:
    """Whether the files are refused, with a reason that names one and shows no insides."""
    reason = read_everything(place)
    if reason is None:
        return False
    assert reason
    assert "Traceback" not in reason
    assert "site-packages" not in reason
    assert "devhost/" not in reason
    return True


def write(place: Path, name: str, content: bytes) -> None:
    for known in ("host.json", "local.settings.json"):
        (place / known).unlink(missing_ok=True)
    (place / "host.json").write_bytes(b'{"version": "2.0"}')
    (place / name).write_bytes(content)


@quickly
@given(host_jsons)
@example(([("functionTimeout", "9" * 5000)], False))
@example(([("extensions.queues.batchSize", float("nan"))], False))
@example(([("extensions.http.customHeaders", {"a\r\nb": "c"})], True))
def test_any_host_json_starts_the_host_or_is_refused(
    tmp_path: Path, drawn: tuple[list[tuple[str, Any]], bool]
) -> None:
    entries, has_mark = drawn
    text = json.dumps(placed(entries))
    write(tmp_path, "host.json", (b"\xef\xbb\xbf" if has_mark else b"") + text.encode())
    refused_in_a_sentence(tmp_path)


@quickly
@given(local_settings, st.booleans())
def test_any_local_settings_start_the_host_or_are_refused(
    tmp_path: Path, content: dict[str, Any], has_mark: bool
) -> None:
    text = json.dumps(content)
    write(tmp_path, "local.settings.json", (b"\xef\xbb\xbf" if has_mark else b"") + text.encode())
    refused_in_a_sentence(tmp_path)


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
@quickly
@given(
    content=st.one_of(st.binary(max_size=40), st.text(max_size=40).map(lambda text: text.encode("utf-16")))
)
def test_bytes_that_are_no_json_object_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    write(tmp_path, name, content)
    is_object = False
    with suppress(ValueError):
        is_object = isinstance(json.loads(content.decode("utf-8-sig")), dict)
    assert refused_in_a_sentence(tmp_path) or is_object


@pytest.mark.parametrize("name", ["host.json", "local.settings.json"])
@pytest.mark.parametrize("depth", JSON_DEPTHS)
@pytest.mark.parametrize("inside", ["[]", '{"a":'])
def test_files_of_any_depth_are_read_or_refused(tmp_path: Path, name: str, depth: int, inside: str) -> None:
    opening, closing = (inside[0], "]") if inside == "[]" else (inside, "}")
    nested = opening * depth + ("1" if inside != "[]" else "") + closing * depth
    write(tmp_path, name, f'{{"version": "2.0", "IsEncrypted": false, "a": {nested}}}'.encode())
    assert refused_in_a_sentence(tmp_path) == (depth > 10)


def test_a_started_host_with_a_file_from_the_dice_serves_or_ends_with_one_line(
    tmp_path: Path, start_host: StartHost
) -> None:
    seed = random.randrange(2**32)  # noqa: S311 (chance, not secrecy)
    print(f"seed {seed}")  # noqa: T201 (pytest shows it when the test fails)
    dice = random.Random(seed)  # noqa: S311 (the same)
    odd: list[Any] = [None, -1, 0, True, "x", "", [], {}, 1e308, "99999999.00:00:00"]
    for number in range(3):
        root = write_app(
            tmp_path / f"app{number}",
            ONE,
            json.dumps(
                placed(
                    [(dice.choice(sorted(HONOURED)), dice.choice(odd)) for _ in range(2)]
                    + [("version", "2.0")]
                )
            ),
        )
        host = start_host(root, place=tmp_path / f"place{number}")
        try:
            host.wait_until_up()
        except AssertionError:
            assert host.process.wait(15) == 1, host.log
            assert "devhost cannot start: " in host.log
        else:
            assert host.call("GET", "/").status == 200
            assert host.stop() == 0
        assert "Traceback" not in host.log, host.log
