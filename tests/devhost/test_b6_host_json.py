"""Contract B6: host.json, its overrides, its keys and what becomes of each."""

import pytest

from devhost.durable.dispatcher import usual_concurrency
from devhost.errors import HostStartError
from devhost.host import most_at_once
from devhost.host_json import HostJson


def test_a_value_in_host_json_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    host_json = HostJson({"extensions": {"Queues": {"batchSize": 3}}})
    assert host_json.get("extensions.queues.batchsize") == 3
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "7")
    assert host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32) == 7
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "33")
    with pytest.raises(HostStartError, match="between 1 and 32"):
        host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32)


def test_host_json_says_how_many_durable_functions_run_at_once() -> None:
    key = "maxConcurrentActivityFunctions"
    assert most_at_once(HostJson({"extensions": {"durableTask": {key: 100}}}), key) == 100
    assert most_at_once(HostJson({}), key) == usual_concurrency()
    with pytest.raises(HostStartError, match=key):
        most_at_once(HostJson({"extensions": {"durableTask": {key: 0}}}), key)
