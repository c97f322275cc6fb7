"""Contract B6: local.settings.json, what wins over it, and which settings a start needs."""

import os
from pathlib import Path

import pytest

from devhost.app_settings import app_setting, resolve_tokens
from devhost.command.local_settings import (
    HostSection,
    apply_local_settings,
    read_local_settings,
    require_python,
    set_host_variables,
)
from devhost.errors import HostStartError
from tests.devhost.conftest import StartHost


def test_settings_are_resolved_and_the_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local.settings.json").write_text(
        '{"IsEncrypted": false, "Values": {"FROM_FILE": "file", "FROM_BOTH": "file", "NOTHING": null},'
        ' "ConnectionStrings": {"Db": "there"}}'
    )
    for name in ("FROM_FILE", "ConnectionStrings:Db"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("FROM_BOTH", "environment")
    apply_local_settings(read_local_settings(tmp_path))
    assert resolve_tokens("%FROM_FILE%-%FROM_BOTH%") == "file-environment"
    assert app_setting("ConnectionStrings__Db") == "there"
    assert app_setting("NOTHING") is None


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"Values": {"A": "b"}}',
        '{"IsEncrypted": true, "Values": {"A": "b"}}',
        '{"IsEncrypted": false, "Values": []}',
    ],
)
def test_settings_that_cannot_be_read_are_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.settings.json").write_text(text)
    with pytest.raises(HostStartError, match=r"local\.settings\.json"):
        read_local_settings(tmp_path)


def test_a_trigger_that_needs_storage_does_not_start_without_it(start_host: StartHost) -> None:
    host = start_host("ticking", environment={"AzureWebJobsStorage": ""})
    assert host.process.wait(15) == 1
    assert "Missing value for AzureWebJobsStorage in local.settings.json." in host.log


def write_values(place: Path, values: str) -> Path:
    (place / "local.settings.json").write_text(f'{{"IsEncrypted": false, "Values": {values}}}')
    return place


def test_a_missing_file_is_an_empty_one_and_a_mark_before_it_is_read(tmp_path: Path) -> None:
    assert read_local_settings(tmp_path) == {}
    (tmp_path / "local.settings.json").write_bytes(b'\xef\xbb\xbf{"Values": {}}')
    assert read_local_settings(tmp_path) == {"Values": {}}


def test_a_variable_that_is_set_wins_with_a_line_and_one_that_is_empty_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    values = '{"TAKEN": "file", "EMPTY": "file", "NO": null, "ON": true, "N": 5}'
    monkeypatch.setenv("TAKEN", "environment")
    monkeypatch.setenv("EMPTY", "")
    for name in ("NO", "ON", "N"):
        monkeypatch.setenv(name, "")
    with caplog.at_level("INFO"):
        apply_local_settings(read_local_settings(write_values(tmp_path, values)))
    assert os.environ["TAKEN"] == "environment"
    assert os.environ["EMPTY"] == "file"
    assert (os.environ["ON"], os.environ["N"]) == ("true", "5")
    assert caplog.messages == [
        "Skipping 'TAKEN' from local settings as it's already defined in current environment variables.",
        "Skipping 'NO' because value is null",
    ]
    assert "file" not in " ".join(caplog.messages)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ('{"A": {}}', "the value of A must be a string"),
        ('{"A": ["x"]}', "the value of A must be a string"),
        ('{"": "x"}', "'' cannot be an environment variable"),
        ('{"A=B": "x"}', "'A=B' cannot be an environment variable"),
        ('{"A": "x\\u0000"}', "'A' cannot be an environment variable"),
        ('{"A": "\\ud800"}', "'A' cannot be an environment variable"),
    ],
)
def test_a_value_that_cannot_be_set_is_refused(tmp_path: Path, values: str, reason: str) -> None:
    content = read_local_settings(write_values(tmp_path, values))
    with pytest.raises(HostStartError, match=reason):
        apply_local_settings(content)


def test_the_host_section_is_read_in_any_case() -> None:
    given = {"localhttpport": 7072, "LocalHttpAddress": "0.0.0.0", "CORS": "a, b", "CORSCredentials": True}  # noqa: S104
    assert HostSection.read({"Host": given}) == HostSection(7072, "0.0.0.0", ("a", "b"), True)  # noqa: S104
    assert HostSection.read({}) == HostSection(7071, "127.0.0.1", (), False)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ({"LocalHttpPort": "7071"}, "LocalHttpPort must be a whole number"),
        ({"LocalHttpPort": True}, "LocalHttpPort must be a whole number"),
        ({"LocalHttpAddress": 1}, "LocalHttpAddress must be a string"),
        ({"CORS": ["*"]}, "CORS must be a string"),
        ({"CORSCredentials": "true"}, "CORSCredentials must be true or false"),
    ],
)
def test_a_host_section_of_the_wrong_kinds_is_refused(section: dict[str, object], reason: str) -> None:
    with pytest.raises(HostStartError, match=reason):
        HostSection.read({"Host": section})


def test_the_worker_runtime_has_to_be_python(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "FUNCTIONS_WORKER_RUNTIME"
    monkeypatch.setenv(name, "Python")
    require_python(is_python=False)
    monkeypatch.setenv(name, "node")
    with pytest.raises(HostStartError, match="is 'node'; devhost runs Python apps only"):
        require_python(is_python=True)
    monkeypatch.delenv(name)
    with pytest.raises(HostStartError, match=rf"Missing value for {name} in local\.settings\.json"):
        require_python(is_python=False)
    require_python(is_python=True)
    assert os.environ[name] == "python"


def test_a_start_without_a_worker_runtime_is_refused(start_host: StartHost, tmp_path: Path) -> None:
    host = start_host("ticking", environment={"FUNCTIONS_WORKER_RUNTIME": ""})
    assert host.process.wait(15) == 1
    assert host.log.startswith("devhost cannot start: Missing value for FUNCTIONS_WORKER_RUNTIME")
    assert len(host.log.splitlines()) == 1


def test_the_app_finds_the_variables_that_func_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEBSITE_HOSTNAME", "AzureWebJobsScriptRoot", "AZURE_FUNCTIONS_ENVIRONMENT"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    set_host_variables(tmp_path, 7072)
    assert os.environ["WEBSITE_HOSTNAME"] == "localhost:7072"
    assert app_setting("AzureWebJobsScriptRoot") == str(tmp_path)
    assert os.environ["AZURE_FUNCTIONS_ENVIRONMENT"] == "Development"
