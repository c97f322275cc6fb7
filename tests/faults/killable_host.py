"""devhost with an app, killed with -9 and started again at the same place."""

from collections.abc import Mapping
from pathlib import Path

from local.azurite import Azurite
from local.functions_host import start_functions_host, wait_for_functions_host
from local.ports import Ports
from local.processes import ChildProcess
from local.settings_file import EXAMPLE_FILE, values_of
from testconnector.server import ScriptedConnector

ROOT = Path(__file__).parent.parent.parent


class KillableHost:
    """``settings`` win over those of the example; ``data``: where the task hub is, which others may share."""

    def __init__(
        self,
        azurite: Azurite,
        connector: ScriptedConnector,
        *,
        logs: Path,
        data: Path,
        settings: Mapping[str, str],
        script_root: Path = ROOT,
        shares_hub: bool = False,
    ) -> None:
        self._logs, self._data = logs, data
        self._script_root, self._shares_hub = script_root, shares_hub
        self._settings = {
            **values_of(EXAMPLE_FILE),
            "AzureWebJobsStorage": azurite.connection_string,
            "ProactiveServiceUrl": connector.url,
            # A killed message counts as an attempt: here the kills are not what ends it.
            "AzureFunctionsJobHost__extensions__queues__maxDequeueCount": "1000",
            "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:02",
            "DEVHOST_QUEUE_LEASE": "00:00:03",
            **settings,
        }
        self.ports = Ports.free()
        self._process: ChildProcess | None = None
        self._starts = 0

    @property
    def pid(self) -> int:
        """The process that runs, or that ran last."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, with a log of its own, and wait until it answers. Raises StackError."""
        self._starts += 1
        self._process = start_functions_host(
            self.ports,
            script_root=self._script_root,
            data=self._data,
            logs=self._logs / f"start-{self._starts}",
            settings=self._settings,
            shares_hub=self._shares_hub,
        )
        wait_for_functions_host(self._process, self.ports)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
