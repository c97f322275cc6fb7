"""Puts the host together, runs it until a signal comes, and takes it apart again."""

import asyncio
import gc
import logging
import signal
import socket
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from devhost.banner import banner, differences
from devhost.blob.blob_input import BlobInput
from devhost.blob.blob_output import BlobOutput
from devhost.durable.client_binding import DurableClientUrls
from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.episode import DurableFunctions
from devhost.durable.hub_lock import HubLock
from devhost.durable.management_api import ManagementApi
from devhost.durable.task_hub import TaskHub
from devhost.errors import AppLoadError, HostStartError
from devhost.host_json import HostJson
from devhost.host_log import WITHOUT_TIME
from devhost.host_settings import HostSettings
from devhost.http.admin_api import AdminApi
from devhost.http.authorization import Authorization
from devhost.http.cors import CorsPolicy
from devhost.http.host_keys import DURABLE_KEY, HostKeys
from devhost.http.http_listener import HttpListener
from devhost.http.key_api import KeyApi
from devhost.indexing.app_loader import LoadedApp, load_app
from devhost.invocation.invoker import Invoker
from devhost.invocation.retry_policy import retry_warnings
from devhost.page.function_page import FunctionPage
from devhost.page.instance_page import InstancePage
from devhost.page.page_api import PageApi
from devhost.page.queue_page import QueuePage
from devhost.page.request_guard import RequestGuard
from devhost.queue.queue_listener import QueueListener
from devhost.queue.queue_output import QueueOutput
from devhost.storage.connection_setting import has_connection
from devhost.storage.storage_connection import StorageConnections
from devhost.timer.timer_listener import TimerListener

logger = logging.getLogger("devhost")
_GRACE_SECONDS = 5.0
_TRIGGERS_WITHOUT_STORAGE = ("httpTrigger", "orchestrationTrigger", "activityTrigger", "entityTrigger")


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the command line says."""

    script_root: Path
    data_dir: Path
    address: str
    port: int
    shares_hub: bool = False
    enable_auth: bool = False
    cors: Sequence[str] = ()
    cors_credentials: bool = False


@dataclass(frozen=True, slots=True)
class _Parts:
    """What runs."""

    http: HttpListener
    admin: AdminApi
    management: ManagementApi
    invoker: Invoker
    dispatcher: Dispatcher
    queues: Sequence[QueueListener]
    timers: Sequence[TimerListener]

    async def stop(self) -> None:
        self.http.close_functions()
        self.invoker.stop_retrying()
        self.management.close()
        # HTTP stays up while functions end, for they may be calling the management API.
        await asyncio.gather(
            self.dispatcher.stop(_GRACE_SECONDS),
            self.admin.stop(_GRACE_SECONDS),
            self.invoker.wait_until_idle(_GRACE_SECONDS),
            *(queue.stop(_GRACE_SECONDS) for queue in self.queues),
            *(timer.stop(_GRACE_SECONDS) for timer in self.timers),
        )
        await self.http.stop()


class Host:
    """One running host over one app and one task hub."""

    def __init__(
        self,
        options: HostOptions,
        host_json: HostJson,
        listener: socket.socket,
        *,
        restart_when: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        self._options = options
        self._listener = listener
        self._kept_listener: socket.socket | None = None
        self._restart_when = restart_when
        self._settings = HostSettings.read(host_json)
        self._cors = (
            CorsPolicy(options.cors, allows_credentials=options.cors_credentials) if options.cors else None
        )

    async def run(self, *, on_started: Callable[[], None] = lambda: None) -> socket.socket | None:
        """Run until a signal comes, or a restart is due: `restart_when` is done, or every thread hangs.

        Returns the socket, still listening, when the host is to be restarted, else None.
        Raises HostStartError.
        """
        options = self._options
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
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
            await self._serve(hub, lock, storage, stop, on_started)
            return self._kept_listener
        finally:
            await storage.close()
            hub.close()
            lock.close()

    def _load(self) -> tuple[LoadedApp | None, list[str]]:
        try:
            app = load_app(self._options.script_root, self._settings.functions)
        except AppLoadError as reason:
            logger.error("The function app could not be loaded; no function runs. %s", reason)
            return None, [str(reason).splitlines()[0]]
        errors = [f"The '{name}' function is in error: {reason}" for name, reason in app.refused.items()]
        for error in errors:
            logger.error("%s", error)
        return app, errors

    def _assemble(
        self, app: LoadedApp, errors: list[str], hub: TaskHub, storage: StorageConnections
    ) -> _Parts:
        options, settings = self._options, self._settings
        keys = self._keys(app) if options.enable_auth else None
        code = keys.system[DURABLE_KEY] if keys else "devhost"
        urls = DurableClientUrls(settings.hub_name, options.port, options.address, code)
        invoker = Invoker(str(options.script_root), settings.timeout)
        invoker.inputs["durableClient"] = urls.client_datum
        invoker.inputs["blob"] = BlobInput(storage).read
        invoker.outputs["blob"] = BlobOutput(storage).write
        invoker.outputs["queue"] = QueueOutput(storage, settings.queues.encoding).write
        functions = DurableFunctions(
            orchestrators={f.durable_name.lower(): f for f in app.of_type("orchestrationTrigger")},
            activities={f.durable_name.lower(): f for f in app.of_type("activityTrigger")},
            absent=frozenset(app.absent_activities),
            entities={f.durable_name.lower(): f for f in app.of_type("entityTrigger")},
            absent_entities=frozenset(app.absent_entities),
        )
        dispatcher = Dispatcher(
            hub,
            functions,
            invoker,
            most=settings.most,
            most_operations=settings.most_operations,
            http_pause=settings.http_pause,
        )
        admin = AdminApi(
            app,
            invoker,
            errors=errors,
            prefix=settings.http.route_prefix,
            script_root=str(options.script_root),
            extension_bundle=settings.extension_bundle,
        )
        management = ManagementApi(
            hub,
            dispatcher,
            functions,
            urls,
            replaces_active=settings.replaces_active,
            uses_forwarded_host=settings.uses_forwarded_host,
        )
        queues = [QueueListener(f, invoker, storage, settings.queues) for f in app.of_type("queueTrigger")]
        timers = [TimerListener(f, invoker, hub, utc_now, settings.zone) for f in app.of_type("timerTrigger")]
        page = PageApi(
            RequestGuard(options.address, lambda: keys.master if keys else None),
            FunctionPage(
                app, invoker.run_log, timers, route_prefix=settings.http.route_prefix, errors=errors
            ),
            InstancePage(hub),
            QueuePage(app.functions, storage, settings.queues.encoding),
            title=options.script_root.name,
            hub_name=settings.hub_name,
            management=management.handle,
            admin=admin.handle,
        )
        http = HttpListener(
            app.of_type("httpTrigger"),
            invoker,
            settings=settings.http,
            authorization=Authorization(keys),
            cors=self._cors,
            apis=[management.handle, *([KeyApi(keys).handle] if keys else []), admin.handle, page.handle],
        )
        return _Parts(http, admin, management, invoker, dispatcher, queues, timers)

    def _keys(self, app: LoadedApp) -> HostKeys:
        path = self._options.data_dir / "keys.json"
        keys = HostKeys.read(path, [function.name for function in app.functions])
        logger.info("Keys are checked; they are in %s", path)
        return keys

    async def _serve(
        self,
        hub: TaskHub,
        lock: HubLock,
        storage: StorageConnections,
        stop: asyncio.Event,
        on_started: Callable[[], None],
    ) -> None:
        began = time.monotonic()
        loaded, errors = self._load()
        app = loaded or LoadedApp()
        require_storage(app)
        parts = self._assemble(app, errors, hub, storage)
        await parts.http.start(self._listener)
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
        await parts.stop()
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

    async def _take_over(self, parts: _Parts, lock: HubLock, *, has_app: bool) -> None:
        logger.info("Another process runs the task hub; this one takes over when that is gone.")
        await lock.wait()
        logger.info("This process runs the task hub now.")
        self._run_hub(parts, has_app=has_app)

    def _run_hub(self, parts: _Parts, *, has_app: bool) -> None:
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
