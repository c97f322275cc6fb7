"""B5.10, starting again: `POST instances/{id}/restart`, and a start over an instance that has not ended."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.durable.durable_settings import replaces_active, uses_forwarded_host
from devhost.durable.history import Status, execution_started, parent_instance
from devhost.durable.records import Committed, EpisodeChange
from devhost.errors import HostStartError
from devhost.host_json import HostJson
from tests.devhost.management_client import NOW, ManagementClient, content


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ManagementClient]:
    client = ManagementClient(tmp_path, "o", "Second")
    yield client
    client.close()


async def test_a_restart_has_a_new_id_and_the_old_input(api: ManagementClient) -> None:
    api.put("one", Status.COMPLETED, given='"{\\"a\\": 1}"')
    answer = await api.call("POST", "instances/one/restart")
    new_id = content(answer)["id"]
    assert (answer.status, "terminatePostUri" in content(answer)) == (202, True)
    assert re.fullmatch("[0-9a-f]{32}", new_id)
    view = content(await api.call("GET", f"instances/{new_id}"))
    assert (view["name"], view["input"], view["runtimeStatus"]) == ("o", '{"a": 1}', "Pending")
    assert content(await api.call("GET", "instances/one"))["runtimeStatus"] == "Completed"


async def test_a_restart_may_keep_the_id(api: ManagementClient) -> None:
    api.put("one", Status.FAILED, given="1")
    answer = await api.call("POST", "instances/one/restart?restartWithNewInstanceId=false")
    assert (answer.status, content(answer)["id"]) == (202, "one")
    assert content(await api.call("GET", "instances/one"))["runtimeStatus"] == "Pending"
    again = await api.call("POST", "instances/one/restart?restartWithNewInstanceId=False")
    assert again.status == 500
    assert "the status Pending already exists" in content(again)["ExceptionMessage"]


async def test_what_cannot_be_restarted_is_a_400(api: ManagementClient) -> None:
    unknown = await api.call("POST", "instances/one/restart")
    assert unknown.status == 400
    assert content(unknown)["Message"] == "InstanceId does not match a valid orchestration instance."
    api.hub.create_instance("old", "1", "gone", execution_started("old", "1", "gone", None, NOW), NOW)
    assert (await api.call("POST", "instances/old/restart")).status == 400


@pytest.mark.parametrize("status", [Status.PENDING, Status.RUNNING, Status.SUSPENDED])
async def test_an_active_instance_is_replaced_where_host_json_says_any_state(
    tmp_path: Path, status: Status
) -> None:
    api = ManagementClient(tmp_path, "o", replaces_active=True)
    api.put("one", status, given="1")
    step_under_way = api.hub.load_episode("one")
    assert (await api.call("POST", "orchestrators/o/one", "2")).status == 202
    assert (
        step_under_way is None
        or api.hub.commit_episode(step_under_way, EpisodeChange([], Status.COMPLETED, None, NOW))
        == Committed()
    )
    view = content(await api.call("GET", "instances/one"))
    assert (view["runtimeStatus"], view["input"]) == ("Pending", 2)
    episode = api.hub.load_episode("one")
    assert episode is not None
    assert [message["Input"] for message in episode.messages] == ["2"]
    api.close()


async def test_the_parent_of_a_replaced_instance_is_told(tmp_path: Path) -> None:
    api = ManagementClient(tmp_path, "o", replaces_active=True)
    api.put("parent", Status.RUNNING)
    parent = parent_instance("parent", "1", 5, "o")
    started = execution_started("one", "1", "o", None, NOW, parent=parent)
    api.hub.create_instance("one", "1", "o", started, NOW)
    await api.call("POST", "orchestrators/o/one")
    episode = api.hub.load_episode("parent")
    assert episode is not None
    [told] = [message for message in episode.messages if message["EventType"] == 9]
    assert (told["TaskScheduledId"], told["Reason"]) == (
        5,
        "The instance was replaced by a new one with its id.",
    )
    api.close()


@pytest.mark.parametrize(("given", "replaces"), [("AnyState", True), ("nonRunningStates", False)])
def test_host_json_says_what_a_start_may_replace(given: str, replaces: bool) -> None:
    content = {"extensions": {"durableTask": {"overridableExistingInstanceStates": given}}}
    assert replaces_active(HostJson(content)) is replaces
    assert replaces_active(HostJson({})) is False


def test_what_host_json_cannot_mean_stops_the_host() -> None:
    content = {"extensions": {"durableTask": {"overridableExistingInstanceStates": "All"}}}
    with pytest.raises(HostStartError, match="must be NonRunningStates or AnyState, not 'All'"):
        replaces_active(HostJson(content))


@pytest.mark.parametrize(("given", "used"), [(True, True), ("true", True), (False, False)])
def test_host_json_says_whether_a_proxy_is_believed(given: object, used: bool) -> None:
    content = {"extensions": {"durableTask": {"httpSettings": {"useForwardedHost": given}}}}
    assert uses_forwarded_host(HostJson(content)) is used
    assert uses_forwarded_host(HostJson({})) is False
    with pytest.raises(HostStartError, match="must be true or false, not 'maybe'"):
        uses_forwarded_host(
            HostJson({"extensions": {"durableTask": {"httpSettings": {"useForwardedHost": "maybe"}}}})
        )
