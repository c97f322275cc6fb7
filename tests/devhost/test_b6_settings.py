"""Contract B6: local.settings.json, what wins over it, and which settings a start needs."""

from pathlib import Path

import pytest

from devhost.app_settings import app_setting, resolve_tokens
from devhost.command.local_settings import apply_local_settings, read_local_settings
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
