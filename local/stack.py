"""The whole local stack: Azurite, devhost with the app, and the Playground, started and stopped in order."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.azurite import connection_string, locked, start_azurite, wait_for_azurite
from local.azurite import program as azurite_program
from local.functions_host import ROOT, functions_url, start_functions_host, wait_for_functions_host
from local.node import node_binary
from local.playground import connector_url, start_playground, wait_for_playground
from local.playground import program as playground_program
from local.ports import Ports
from local.processes import ChildProcess, StackError, never, stop_all
from local.settings_file import require_host_json

PROACTIVE_SERVICE_URL = "ProactiveServiceUrl"
PUBLIC_URL = "PublicUrl"


@dataclass(kw_only=True)
class Stack:
    """One local stack. ``data`` holds its storage and logs, ``task_hub`` what devhost remembers."""

    ports: Ports
    data: Path
    task_hub: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    script_root: Path = ROOT
    devhost_home: Path = ROOT
    storage: ChildProcess | None = None
    functions_host: ChildProcess | None = None
    playground: ChildProcess | None = None

    @property
    def logs(self) -> Path:
        return self.data / "logs"

    @property
    def storage_data(self) -> Path:
        return self.data / "azurite"

    @property
    def connection_string(self) -> str:
        return connection_string(self.ports)

    @property
    def children(self) -> list[ChildProcess]:
        """Those that have been started, the ones that others need last."""
        possible = (self.functions_host, self.playground, self.storage)
        return [child for child in possible if child is not None]

    def start(self, *, is_cancelled: Callable[[], bool] = never) -> None:
        """Start everything and wait until it is ready, or leave off as soon as ``is_cancelled``."""
        self._require_what_it_takes()
        azurite = start_azurite(self.ports, data=self.storage_data, logs=self.logs)
        self.storage = azurite.process
        self.playground = start_playground(self.ports, logs=self.logs)
        wait_for_azurite(azurite, is_cancelled=is_cancelled)
        if is_cancelled():
            return
        self.start_functions_host(is_cancelled=is_cancelled)
        wait_for_playground(self.playground, self.ports, is_cancelled=is_cancelled)

    def _require_what_it_takes(self) -> None:
        """Raise StackError for what is known to be wrong before anything runs."""
        node_binary()
        azurite_program()
        playground_program()
        require_host_json(self.script_root)
        self.ports.require_different()
        with locked(self.storage_data):  # before the ports: a stack that runs already has taken both
            self.ports.require_free()

    def start_functions_host(self, *, is_cancelled: Callable[[], bool] = never) -> None:
        """Start devhost, or start it again, and wait until it is ready."""
        self.functions_host = start_functions_host(
            self.ports,
            script_root=self.script_root,
            data=self.task_hub,
            logs=self.logs,
            home=self.devhost_home,
            settings={
                **self.settings,
                "AzureWebJobsStorage": self.connection_string,
                PROACTIVE_SERVICE_URL: os.environ.get(PROACTIVE_SERVICE_URL) or connector_url(self.ports),
                PUBLIC_URL: os.environ.get(PUBLIC_URL) or functions_url(self.ports),
            },
        )
        wait_for_functions_host(self.functions_host, self.ports, is_cancelled=is_cancelled)

    def raise_if_one_died(self) -> None:
        for child in self.children:
            if child.exit_code is not None:
                raise StackError(child.obituary())

    def stop(self) -> None:
        """Stop everything: devhost first, as it still has something to store."""
        if self.functions_host is not None:
            self.functions_host.stop()
        stop_all(self.children)
