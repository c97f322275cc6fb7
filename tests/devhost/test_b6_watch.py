"""Contract B6, reload: with --watch a changed file of the app restarts it."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from devhost.command.source_watch import SourceWatch, watch_of
from devhost.errors import HostStartError
from devhost.host_json import HostJson
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess, until
from tests.devhost.written_app import ONE, write_app

APP = """
import os, time
from words import WORD
app = func.FunctionApp()
@app.route(route="word")
async def word(req: func.HttpRequest) -> str:
    return f"{WORD} {os.environ['GREETING']} {os.getpid()}"
@app.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    time.sleep(1.5)
    return "answered"
"""


def settings(greeting: str) -> str:
    return json.dumps({"IsEncrypted": False, "Values": {"GREETING": greeting}})


def answered(host: DevhostProcess, path: str) -> str:
    try:
        return host.call("GET", path).text
    except OSError:
        assert host.process.poll() is None, host.log
        return ""


def comes_to_say(host: DevhostProcess, text: str, path: str = "/api/word") -> str:
    return str(
        until(
            lambda: answer if text in (answer := answered(host, path)) else "",
            seconds=40,
            why=text,
        )
    )


def test_a_changed_module_or_setting_restarts_the_app_in_the_same_process(
    start_host: StartHost, tmp_path: Path
) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "words.py").write_text("WORD = 'first'\n")
    (app / "local.settings.json").write_text(settings("hello"))
    host = start_host(app, arguments=("start", "--watch")).wait_until_up()
    assert answered(host, "/api/word") == f"first hello {host.process.pid}"
    (app / "words.py").write_text("WORD = 'the second'\n")
    assert comes_to_say(host, "the second") == f"the second hello {host.process.pid}"
    (app / "local.settings.json").write_text(settings("good day"))
    comes_to_say(host, "the second good day")
    (app / "host.json").write_text('{"version": "2.0", "extensions": {"http": {"routePrefix": "v2"}}}')
    comes_to_say(host, "the second good day", "/v2/word")
    assert f"{app / 'words.py'} has changed: the app is restarted." in host.log
    assert host.stop() == 0


def test_an_app_that_was_broken_waits_for_its_repair(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "words.py").write_text("WORD = 'first'\n")
    host = start_host(app, arguments=("start", "--watch"), environment={"GREETING": "hello"}).wait_until_up()
    (app / "words.py").write_text("WORD = \n")
    until(lambda: "SyntaxError" in host.log)
    until(lambda: answered(host, "/admin/host/ping") == "" and host.call("GET", "/").status == 200)
    assert host.call("GET", "/api/word").status == 404
    assert host.call("GET", "/admin/host/status").json()["state"] == "Error"
    (app / "words.py").write_text("WORD = 'mended'\n")
    comes_to_say(host, "mended")
    (app / "host.json").write_text("{")
    until(lambda: "waiting for the next change" in host.log)
    assert "host.json is not valid JSON" in host.log
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "words.py").write_text("WORD = 'mended again'\n")
    comes_to_say(host, "mended again")
    assert host.stop() == 0


def test_the_port_is_kept_so_that_no_caller_is_refused(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "words.py").write_text("WORD = 'first'\n")
    host = start_host(app, arguments=("start", "--watch"), environment={"GREETING": "hello"}).wait_until_up()
    (app / "words.py").write_text("import time\ntime.sleep(0.5)\nWORD = 'second'\n")
    answers: list[int] = []

    def is_second() -> bool:
        answer = host.call("GET", "/api/word")  # raises when it is refused
        answers.append(answer.status)
        return answer.text.startswith("second")

    until(is_second)
    assert set(answers) <= {200, 503}, "503 while what runs may end"


NEEDS_STORAGE = """
import time
print("importing", flush=True)
time.sleep(1.5)
app = func.FunctionApp()
@app.timer_trigger(arg_name="timer", schedule="0 0 1 1 1 *")
def yearly(timer: func.TimerRequest) -> None: ...
"""


def test_a_repair_during_a_start_that_is_refused_is_noticed(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", ONE)
    environment = {"AzureWebJobsStorage": ""}
    host = start_host(app, arguments=("start", "--watch"), environment=environment).wait_until_up()
    (app / "function_app.py").write_text("import azure.functions as func\n" + NEEDS_STORAGE)
    until(lambda: "importing" in host.log)
    (app / "function_app.py").write_text("import azure.functions as func\n" + ONE)
    until(lambda: "waiting for the next change" in host.log, why=host.log)
    comes_to_say(host, "one", "/api/one")
    assert host.stop() == 0


HANGING = """
import os, threading, time
app = func.FunctionApp()
@app.route(route="hang")
def hang(req: func.HttpRequest) -> str:
    time.sleep(60)
    return ""
@app.route(route="threads")
def threads(req: func.HttpRequest) -> str:
    return f"{os.getpid()} {threading.active_count()}"
"""


def test_a_host_whose_every_thread_hangs_restarts_itself(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", HANGING, '{"version": "2.0", "functionTimeout": "00:00:01"}')
    environment = {"PYTHON_THREADPOOL_THREAD_COUNT": "2"}
    host = start_host(app, environment=environment).wait_until_up()
    assert host.call("GET", "/api/hang").status == 500
    assert answered(host, "/api/threads").startswith(f"{host.process.pid} ")
    assert host.call("GET", "/api/hang").status == 500
    until(lambda: host.log.count("Job host started") == 2, why=host.log)
    assert "Every thread is held by a function over its time limit: the host restarts itself." in host.log
    assert answered(host, "/api/threads").startswith(f"{host.process.pid} ")
    assert host.stop() == 0


def test_work_in_flight_ends_before_the_restart(start_host: StartHost, tmp_path: Path) -> None:
    app = write_app(tmp_path / "app", APP)
    (app / "words.py").write_text("WORD = 'first'\n")
    host = start_host(app, arguments=("start", "--watch"), environment={"GREETING": "hello"}).wait_until_up()
    (app / "words.py").write_text("WORD = 'second'\n")
    assert host.call("GET", "/api/slow").text == "answered"
    comes_to_say(host, "second")


async def changed(watch: SourceWatch) -> str:
    return await asyncio.wait_for(watch.changed(), 10)


async def test_what_host_json_lists_is_watched_and_what_is_no_source_is_not(tmp_path: Path) -> None:
    app, beside = tmp_path / "app", tmp_path / "beside"
    for directory in (app / ".venv", app / "__pycache__", app / "data", app / "deep" / "er", beside):
        directory.mkdir(parents=True)
    (app / ".venv" / "pyvenv.cfg").write_text("")
    host_json = HostJson({"watchDirectories": ["../beside"], "watchFiles": ["rules.txt"]})
    watch = watch_of(host_json, app, app / "data")
    quiet = asyncio.create_task(watch.changed())
    for unwatched in (".venv/a.py", "__pycache__/a.py", "data/a.py", "notes.txt"):
        (app / unwatched).write_text("x")
    finished, _ = await asyncio.wait([quiet], timeout=0.8)
    assert not finished
    quiet.cancel()
    for path in (app / "deep" / "er" / "rules.txt", beside / "library.py", app / "host.json"):
        path.write_text("x")
        assert await changed(watch) == str(path)
    (beside / "library.py").unlink()
    assert await changed(watch) == str(beside / "library.py")


async def test_a_change_that_keeps_the_size_is_noticed_by_its_time(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text("a")
    os.utime(module, ns=(1, 1))
    watch = SourceWatch(tmp_path)
    module.write_text("b")
    assert await changed(watch) == str(module)


def test_a_watched_directory_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(HostStartError, match=r"watchDirectories: .*nowhere is not a directory"):
        watch_of(HostJson({"watchDirectories": ["nowhere"]}), tmp_path, tmp_path / "data")
