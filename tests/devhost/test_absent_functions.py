"""Functions that are not there for a while: what the hub holds for them waits."""

from pathlib import Path

from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until

APP = """
import os, time
from datetime import timedelta
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()

@app.orchestration_trigger(context_name="context")
def calls(context):
    return (yield context.call_activity("held", None))

@app.orchestration_trigger(context_name="context")
def waits(context):
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    return (yield context.wait_for_external_event("go"))

@app.activity_trigger(input_name="nothing")
def held(nothing: str) -> str:
    if os.environ.get("HOLD"):
        time.sleep(60)
    return "done"
"""


def write_app(root: Path, text: str) -> Path:
    root.mkdir(exist_ok=True)
    (root / "host.json").write_text('{"version": "2.0"}')
    (root / "function_app.py").write_text(text)
    return root


def test_a_broken_app_fails_no_running_instance(start_host: StartHost, tmp_path: Path) -> None:
    root = write_app(tmp_path / "app", APP)
    host = start_host(root, environment={"HOLD": "1"}).wait_until_up()
    host.start("calls", "with-an-activity")
    host.start("waits", "with-a-timer")
    until(lambda: "Executing 'Functions.held'" in host.log)
    until(lambda: host.status("with-a-timer")["runtimeStatus"] == "Running")
    host.kill()

    write_app(root, "raise RuntimeError('half of an edit')")
    host = start_host(root).wait_until_up()
    assert host.durable("POST", "instances/with-a-timer/raiseEvent/go", "7").status == 202
    until(lambda: "The orchestrator 'waits' is not there" in host.log)
    for instance_id in ("with-an-activity", "with-a-timer"):
        assert host.status(instance_id)["runtimeStatus"] == "Running"
    host.kill()

    write_app(root, APP)
    host = start_host(root).wait_until_up()
    assert host.ended("with-an-activity")["output"] == "done"
    assert host.ended("with-a-timer")["output"] == 7
    assert host.stop() == 0


def test_a_disabled_activity_and_orchestrators_left_out_go_on_when_they_are_back(
    start_host: StartHost, tmp_path: Path
) -> None:
    root = write_app(tmp_path / "app", APP)
    host = start_host(root, environment={"AzureWebJobs.held.Disabled": "true"}).wait_until_up()
    for number in range(2):
        host.start("calls", f"new-{number}")
    until(lambda: "The activity 'held' is not there" in host.log)
    until(lambda: host.status("new-1")["runtimeStatus"] == "Running")
    assert host.log.count("The activity 'held' is not there") == 1
    assert host.stop() == 0

    host = start_host(root, arguments=("start", "--functions", "held")).wait_until_up()
    until(lambda: "The orchestrator 'calls' is not there" in host.log)
    assert host.status("new-0")["runtimeStatus"] == "Running"
    assert host.stop() == 0

    host = start_host(root).wait_until_up()
    for number in range(2):
        assert host.ended(f"new-{number}")["output"] == "done"
    assert host.stop() == 0
