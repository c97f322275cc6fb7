"""Loads the app, runs the host until a signal comes or a restart is due, and takes it apart again."""

import asyncio
import gc
import logging
import socket
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from devhost.banner import banner, differences
from devhost.durable.hub_lock import HubLock
from devhost.durable.task_hub import TaskHub
from devhost.errors import AppLoadError, HostStartError
from devhost.host_json import HostJson
from devhost.host_log import WITHOUT_TIME, kept_log
from devhost.host_parts import HostOptions, HostParts, PartsList
from devhost.host_settings import HostSettings
from devhost.indexing.app_loader import LoadedApp, load_app
from devhost.invocation.retry_policy import retry_warnings
from devhost.stop_signal import StopSignal
from devhost.storage.connection_setting import has_connection
from devhost.storage.storage_connection import StorageConnections
from devhost.trigger_languages import TRIGGER_LANGUAGES

logger = logging.getLogger("devhost")
_GRACE_SECONDS = 5.0
_LAST_SECONDS = _GRACE_SECONDS + 3  # HTTP takes some more; then the process ends, whatever holds it
_TRIGGERS_WITHOUT_STORAGE = ("httpTrigger", "orchestrationTrigger", "activityTrigger", "entityTrigger")


class Host:
    """One running host over one app and one task hub."""

    def __init__(
        self,
        options: HostOptions,
        host_json: HostJson,
        listener: socket.socket,
        stop_signal: StopSignal,
        *,
        restart_when: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._options = options
        self._listener = listener
        self._stop_signal = stop_signal
        self._kept_listener: socket.socket | None = None
        self._restart_when = restart_when
        self._settings = HostSettings.read(host_json)

    async def run(self, *, on_started: Callable[[], None] = lambda: None) -> socket.socket | None:
        """Run until a signal comes, or a restart is due: `restart_when` is done, or every thread hangs.

        Returns the socket, still listening, when the host is to be restarted, else None.
        Raises HostStartError.
        """
        options = self._options
        try:
            options.data_dir.mkdir(parents=True, exist_ok=True)
            lock = HubLock(options.data_dir / f"{self._settings.hub_name}.lock")
            if not options.shares_hub:
                lock.require()
            hub = TaskHub(options.data_dir / f"{self._settings.hub_name}.sqlite")
        except (OSError, sqlite3.Error) as error:
            raise HostStartError(f"The task hub in {options.data_dir} cannot be opened: {error}.") from None
        storage = StorageConnections()
        try:
            await self._serve(hub, lock, storage, on_started)
            return self._kept_listener
        finally:
            await storage.close()
            hub.close()
            lock.close()

    def _load(self) -> tuple[LoadedApp | None, list[str]]:
        try:
            with kept_log():
                app = load_app(self._options.script_root, self._settings.functions, TRIGGER_LANGUAGES)
        except AppLoadError as reason:
            logger.error("The function app could not be loaded; no function runs. %s", reason)
            return None, [str(reason).splitlines()[0]]
        errors = [f"The '{name}' function is in error: {reason}" for name, reason in app.refused.items()]
        for error in errors:
            logger.error("%s", error)
        return app, errors

    async def _serve(
        self,
        hub: TaskHub,
        lock: HubLock,
        storage: StorageConnections,
        on_started: Callable[[], None],
    ) -> None:
        began = time.monotonic()
        loaded, errors = self._load()
        app = loaded or LoadedApp()
        require_storage(app)
        parts = PartsList(self._options, self._settings, app, hub, storage, errors).assemble()
        await parts.http.start(self._listener)
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop_signal.tell(partial(loop.call_soon_threadsafe, stop.set), last_seconds=_LAST_SECONDS)
        gc.collect()
        gc.freeze()  # what is there now stays: each collection would look at all modules of the app anew
        self._say_started(app, began)
        on_started()
        for listener in parts.queues:
            listener.start()
        waiting = None
        if lock.take():
            self._run_hub(parts, has_app=loaded is not None)
        else:
            parts.dispatcher.stand_by()
            waiting = asyncio.create_task(self._take_over(parts, lock, has_app=loaded is not None))
        is_restarting = await self._until_stopped(stop, parts.invoker.threads.exhausted)
        if is_restarting:
            self._kept_listener = self._listener.dup()  # callers wait in its queue meanwhile
        logger.info("Stopping: no new work; what runs may end within %d seconds.", _GRACE_SECONDS)
        if waiting:
            waiting.cancel()
        await parts.stop(_GRACE_SECONDS)
        logger.info("Stopped.")

    def _say_started(self, app: LoadedApp, began: float) -> None:
        """func's lines; others wait for some of them to know that the host is ready."""
        options = self._options
        logger.info("Worker process started and initialized.")
        for line in banner(app, port=options.port, route_prefix=self._settings.http.route_prefix):
            logger.info("%s", line, extra=WITHOUT_TIME)
        for line in differences(app, self._settings.queues):
            logger.info("%s", line, extra=WITHOUT_TIME)
        for warning in retry_warnings(app.functions):
            logger.warning("%s", warning)
        logger.info("Task hub '%s', data in %s", self._settings.hub_name, options.data_dir)
        logger.info("Host started (%dms)", (time.monotonic() - began) * 1000)
        logger.info("Job host started")

    async def _until_stopped(self, stop: asyncio.Event, exhausted: asyncio.Event) -> bool:
        """Wait for a signal or for a reason to restart; returns whether it was the latter."""
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, exhausted)]
        changed = asyncio.ensure_future(self._restart_when()) if self._restart_when else None
        await asyncio.wait([*waits, *([changed] if changed else [])], return_when=asyncio.FIRST_COMPLETED)
        for task in [*waits, *([changed] if changed and not changed.done() else [])]:
            task.cancel()
        if stop.is_set():
            return False
        if changed is not None and changed.done():
            logger.info("%s has changed: the app is restarted.", changed.result())
        else:
            logger.error("Every thread is held by a function over its time limit: the host restarts itself.")
        return True

    async def _take_over(self, parts: HostParts, lock: HubLock, *, has_app: bool) -> None:
        logger.info("Another process runs the task hub; this one takes over when that is gone.")
        await lock.wait()
        logger.info("This process runs the task hub now.")
        self._run_hub(parts, has_app=has_app)

    def _run_hub(self, parts: HostParts, *, has_app: bool) -> None:
        """Run orchestrations and timers."""
        logger.info("Host lock lease acquired by instance ID '%s'.", uuid.uuid4().hex)
        if has_app:  # without its functions, what the hub holds waits for the repaired app
            parts.dispatcher.start(is_shared=self._options.shares_hub)
        for listener in parts.timers:
            listener.start()


def require_storage(app: LoadedApp) -> None:
    """Some triggers do not start without a storage account. Raises HostStartError."""
    needing = [f for f in app.functions if f.trigger.type not in _TRIGGERS_WITHOUT_STORAGE]
    if needing and not has_connection("AzureWebJobsStorage"):
        raise HostStartError(
            "Missing value for AzureWebJobsStorage in local.settings.json. "
            f"The {needing[0].trigger.type} '{needing[0].name}' requires it."
        )
