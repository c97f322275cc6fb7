"""Apps that are not ours in shape: blueprints and entities, classic HTTP, and some that do not index."""

from collections.abc import Iterator

import pytest

from local.azurite import Azurite
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import DevhostProcess


@pytest.fixture(scope="module")
def notes(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevhostProcess]:
    environment = {"AzureWebJobsStorage": azurite.connection_string}
    place = tmp_path_factory.mktemp("notes")
    host = DevhostProcess("classic_http", place, environment=environment).wait_until_up()
    yield host
    assert host.stop() == 0, host.log


def test_generic_decorators_make_the_same_function(notes: DevhostProcess) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = notes.call("POST", "/v1/echo/a/b?c=d", "e=f", form)
    assert answer.json() == {"rest": "a/b", "query": {"c": "d"}, "form": {"e": "f"}}
    assert notes.call("GET", "/v1/echo/a").status == 404


def test_a_function_with_a_binding_that_devhost_lacks_is_refused_alone(notes: DevhostProcess) -> None:
    assert notes.call("POST", "/v1/events", "x").status == 404
    assert (
        "The 'send_event' function is in error: devhost does not know the binding type 'eventHub'"
        in notes.log
    )
    status = notes.call("GET", "/admin/host/status").json()
    assert any("send_event" in error for error in status["errors"])


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (
            "two_apps",
            "ValueError: More than one FunctionApp or other top level function app instances are defined.",
        ),
        (
            "only_a_blueprint",
            "ValueError: Could not find top level function app instances in function_app.py.",
        ),
        ("missing_module", "ModuleNotFoundError: No module named 'library_that_nobody_installed'."),
        ("bad_signature", "FunctionLoadError: cannot load the work function: the following parameters are"),
        ("no_trigger", "ValueError: Function sends does not have a trigger."),
        ("twice_the_name", "ValueError: Function Hello does not have a unique function name."),
    ],
)
def test_an_app_that_does_not_index_leaves_the_host_up_without_functions(
    start_host: StartHost, app: str, reason: str
) -> None:
    host = start_host(f"does_not_index/{app}").wait_until_up()
    assert host.call("GET", "/").status == 200
    assert host.call("GET", "/api/hello").status == 404
    assert host.call("GET", "/admin/functions").json() == []
    status = host.call("GET", "/admin/host/status").json()
    assert status["state"] == "Error"
    assert status["errors"][0].startswith(reason)
    assert reason in host.log
    assert host.stop() == 0
