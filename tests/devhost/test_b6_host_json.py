"""Contract B6: host.json, its overrides, its keys and what becomes of each."""

import json
import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from devhost.durable.dispatcher import usual_concurrency
from devhost.errors import HostStartError
from devhost.host_json import HostJson
from devhost.host_json_keys import HONOURED, IGNORED, report_keys
from devhost.host_settings import function_timeout, most_at_once
from devhost.log_level import LogLevels, running_function
from tests.devhost.conftest import StartHost
from tests.devhost.written_app import ONE, write_app

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "tests" / "schemas" / "host.schema.json"


def override(monkeypatch: pytest.MonkeyPatch, path: str, value: str) -> None:
    monkeypatch.setenv(f"AzureFunctionsJobHost__{path}", value)


def test_a_value_in_host_json_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    host_json = HostJson({"extensions": {"Queues": {"batchSize": 3}}})
    assert host_json.get("extensions.queues.batchsize") == 3
    override(monkeypatch, "extensions__queues__batchSize", "7")
    assert host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32) == 7
    override(monkeypatch, "extensions__queues__batchSize", "33")
    with pytest.raises(HostStartError, match="between 1 and 32"):
        host_json.get_int("extensions.queues.batchSize", 16, low=1, high=32)


def test_a_key_that_the_file_does_not_have_can_be_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    host_json = HostJson({})
    override(monkeypatch, "extensions__http__routePrefix", "v2")
    monkeypatch.setenv("azurefunctionsjobhost:FUNCTIONTIMEOUT", "00:01:00")
    assert host_json.get_text("extensions.http.routePrefix", "api") == "v2"
    assert function_timeout(host_json) == timedelta(minutes=1)


def test_a_list_is_overridden_by_position_and_a_table_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    host_json = HostJson({"functions": ["a", "b"], "logging": {"logLevel": {"default": "Error"}}})
    override(monkeypatch, "functions__0", "x")
    override(monkeypatch, "functions__2", "y")
    override(monkeypatch, "logging__logLevel__Default", "Debug")
    override(monkeypatch, "logging__logLevel__Function.one", "None")
    assert host_json.get_texts("functions") == ["x", "b", "y"]
    assert host_json.get_table("logging.logLevel") == {"Default": "Debug", "Function.one": "None"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"functions": "one"}, "functions must be a list of strings"),
        ({"functions": [1]}, "functions must be a list of strings"),
        ({"flag": "perhaps"}, "flag must be true or false"),
        ({"flag": 1}, "flag must be true or false"),
        ({"text": 5}, "text must be a string"),
        ({"number": "many"}, "number must be a whole number"),
        ({"number": True}, "number must be a whole number"),
        ({"number": 1.5}, "number must be a whole number"),
        ({"number": float("inf")}, "number must be a whole number"),
        ({"span": "soon"}, "span must be a TimeSpan"),
        ({"span": {}}, "span must be a TimeSpan"),
        ({"table": []}, "table must be a JSON object"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_path(content: dict[str, Any], message: str) -> None:
    host_json = HostJson(content)
    with pytest.raises(HostStartError, match=f"host.json: {message}"):
        host_json.get_texts("functions")
        host_json.get_flag("flag", False)
        host_json.get_text("text", "")
        host_json.get_int("number", 1, low=0, high=9)
        host_json.get_span("span", "00:00:01")
        host_json.get_table("table")


def test_host_json_says_how_many_durable_functions_run_at_once() -> None:
    key = "maxConcurrentActivityFunctions"
    assert most_at_once(HostJson({"extensions": {"durableTask": {key: 100}}}), key) == 100
    assert most_at_once(HostJson({}), key) == usual_concurrency()
    with pytest.raises(HostStartError, match=key):
        most_at_once(HostJson({"extensions": {"durableTask": {key: 0}}}), key)


@pytest.mark.parametrize(
    ("text", "limit"),
    [(None, timedelta(minutes=30)), ("00:00:01", timedelta(seconds=1)), ("-1", None), (-1, None)],
)
def test_a_function_has_half_an_hour_or_what_host_json_says(text: object, limit: timedelta | None) -> None:
    assert function_timeout(HostJson({} if text is None else {"functionTimeout": text})) == limit


@pytest.mark.parametrize("text", ["00:00:00.5", "soon", "-00:01:00", {}, 5.5])
def test_a_time_limit_below_a_second_is_refused(text: object) -> None:
    with pytest.raises(HostStartError, match="functionTimeout"):
        function_timeout(HostJson({"functionTimeout": text}))


def keys_of_schema(node: dict[str, Any], above: str, definitions: dict[str, Any]) -> Iterator[str]:
    if "$ref" in node:
        node = definitions[node["$ref"].rpartition("/")[2]]
    for name, child in node.get("properties", {}).items():
        yield above + name
        yield from keys_of_schema(child, f"{above}{name}.", definitions)


def test_every_key_of_the_public_schema_is_honoured_or_ignored_by_name() -> None:
    schema = json.loads(SCHEMA.read_text())
    version_2 = schema["oneOf"][-1]
    paths = list(keys_of_schema(version_2, "", schema["definitions"]))
    assert "extensions.queues.batchSize" in paths
    for path in paths:
        assert not report_keys({}, [path]).unknown, path


@pytest.mark.parametrize("path", HONOURED)
def test_a_key_that_is_honoured_is_read_by_the_module_that_the_table_names(path: str) -> None:
    module = ROOT / "devhost" / f"{HONOURED[path]}.py"
    assert path.rpartition(".")[2] in module.read_text()


def test_no_key_is_both_honoured_and_ignored() -> None:
    lower = [path.lower() for path in (*HONOURED, *IGNORED)]
    assert len(lower) == len(set(lower))
    for path in HONOURED:
        assert not report_keys({}, [path]).ignored, path


def test_what_is_ignored_and_what_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    override(monkeypatch, "extensions__queues__batchSise", "7")
    content = {
        "version": "2.0",
        "Singleton": {"lockPeriod": "00:00:15"},
        "logging": {"logLevel": {"Function.any": "Debug"}, "applicationInsights": {"a": 1, "b": 2}},
        "extensions": {"durableTask": {"storageProvider": {"partitionCount": 8}, "hubNmae": "x"}},
        "bindings": [],
    }
    lines = list(HostJson(content).report().lines())
    assert lines == [
        "host.json: singleton is ignored: one process at a time runs the hub, by a lock on its file.",
        "host.json: logging.applicationInsights is ignored: devhost sends no telemetry.",
        "host.json: extensions.durableTask.storageProvider is ignored: orchestrations live in one SQLite "
        "file, without partitions, queues and tables.",
        "host.json: extensions.durableTask.hubNmae is not known and is ignored.",
        "host.json: bindings is not known and is ignored.",
        "host.json: extensions.queues.batchSise is not known and is ignored.",
    ]


@pytest.mark.parametrize("content", [{"extensions": []}, {"extensions": {"http": "x"}}, {"logging": 5}])
def test_a_section_that_is_no_object_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(HostStartError, match=r"host.json: \S+ must be a JSON object"):
        HostJson(content).report()


def record(level: int, *, name: str = "app", category: str | None = None) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "f", 1, "m", (), None)
    if category:
        made.__dict__["category"] = category
    return made


def test_the_longest_prefix_of_a_category_decides_what_is_logged() -> None:
    table = {"default": "Warning", "Function": "Error", "Function.chatty": "Debug", "Host": "None"}
    levels = LogLevels.read(HostJson({"logging": {"logLevel": table}}))
    assert levels.lowest == logging.DEBUG
    assert levels.filter(record(logging.WARNING))
    assert not levels.filter(record(logging.INFO))
    assert not levels.filter(record(logging.CRITICAL, name="devhost"))
    assert not levels.filter(record(logging.INFO, name="devhost", category="Function.quiet"))
    assert levels.filter(record(logging.INFO, name="devhost", category="Function.CHATTY"))
    assert not levels.filter(record(logging.INFO, category="Function.chattyToo"))
    token = running_function.set("chatty")
    assert levels.filter(record(logging.DEBUG))
    running_function.reset(token)
    assert not levels.filter(record(logging.DEBUG))


@pytest.mark.parametrize("level", ["Loud", 3, None, {}])
def test_a_log_level_that_does_not_exist_is_refused(level: object) -> None:
    with pytest.raises(HostStartError, match=r"logging\.logLevel\.Host must be one of Trace, Debug"):
        LogLevels.read(HostJson({"logging": {"logLevel": {"Host": level}}}))


CHATTY = """
import logging
app = func.FunctionApp()
@app.route(route="one")
async def one(req: func.HttpRequest) -> str:
    logging.info("one speaks")
    return ""
@app.route(route="two")
def two(req: func.HttpRequest) -> str:
    logging.info("two speaks")
    logging.error("two shouts")
    return ""
"""


def test_log_levels_and_the_list_of_functions_hold_for_the_running_host(
    start_host: StartHost, tmp_path: Path
) -> None:
    levels = {"default": "Information", "Function.two.User": "Error"}
    content = {"version": "2.0", "functions": ["One", "two"], "logging": {"logLevel": levels}}
    unused = '@app.route(route="three")\ndef three(req: func.HttpRequest) -> str:\n    return ""\n'
    app = write_app(tmp_path / "app", CHATTY + unused, json.dumps(content))
    host = start_host(app).wait_until_up()
    assert [host.call("GET", f"/api/{name}").status for name in ("one", "two", "three")] == [200, 200, 404]
    assert host.stop() == 0
    assert "one speaks" in host.log
    assert "two speaks" not in host.log
    assert "two shouts" in host.log
    assert "Executed 'Functions.two' (Succeeded" in host.log


def test_what_host_json_has_in_vain_is_said_at_the_start(start_host: StartHost, tmp_path: Path) -> None:
    content = '{"version": "2.0", "healthMonitor": {"enabled": true}, "functionTimout": "00:05:00"}'
    host = start_host(write_app(tmp_path / "app", ONE, content)).wait_until_up()
    assert "host.json: healthMonitor is ignored: devhost does not watch its own health." in host.log
    assert "host.json: functionTimout is not known and is ignored." in host.log
