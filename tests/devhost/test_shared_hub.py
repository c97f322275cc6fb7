"""Several processes on one task hub: one runs it, and when that is killed another goes on."""

from tests.devhost.conftest import StartHost
from tests.devhost.host_process import until

SHARED = ("start", "--shares-hub")
TAKES_OVER = "This process runs the task hub now"


def test_what_one_process_starts_and_wakes_another_one_runs(start_host: StartHost) -> None:
    running = start_host(arguments=SHARED).wait_until_up()
    other = start_host(arguments=SHARED).wait_until_up()
    assert other.start("chain", "elsewhere", 4).status == 202
    assert running.ended("elsewhere")["output"] == 6
    other.start("approval", "woken", 3600)
    until(lambda: other.status("woken")["customStatus"] == "waiting")
    assert other.durable("POST", "instances/woken/raiseEvent/approve", "1").status == 202
    assert other.ended("woken")["output"] == {"approved": 1, "done": 2}
    waited = other.durable("POST", "orchestrators/chain/waited?timeout=10&pollingInterval=0.05", '"4"')
    assert (waited.status, waited.json()) == (200, 6)
    assert TAKES_OVER not in other.log


def test_one_process_alone_runs_an_instance_that_both_are_asked_to_start(start_host: StartHost) -> None:
    hosts = [start_host(arguments=SHARED).wait_until_up() for _ in range(2)]
    statuses = [host.start("waits", "asked-for-twice").status for host in hosts]
    assert statuses == [202, 500]


def test_when_the_process_that_runs_the_hub_is_killed_another_goes_on(start_host: StartHost) -> None:
    running = start_host(arguments=SHARED).wait_until_up()
    other = start_host(arguments=SHARED).wait_until_up()
    running.start("approval", "survives", 2)
    until(lambda: other.status("survives")["customStatus"] == "waiting")
    running.kill()
    until(lambda: TAKES_OVER in other.log)
    assert other.ended("survives")["output"] == "timed out"
    again = start_host(arguments=SHARED, port=running.port).wait_until_up()
    assert again.start("chain", "later", 4).status == 202
    assert again.ended("later")["output"] == 6
