"""The parts of a running host, and how they are put together."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from devhost.admin.admin_api import AdminApi
from devhost.admin.key_api import KeyApi
from devhost.blob.blob_input import BlobInput
from devhost.blob.blob_output import BlobOutput
from devhost.durable.client_binding import DurableClientUrls
from devhost.durable.dispatcher import Dispatcher, utc_now
from devhost.durable.episode import DurableFunctions
from devhost.durable.management_api import ManagementApi
from devhost.durable.task_hub import TaskHub
from devhost.host_settings import HostSettings
from devhost.http.authorization import Authorization
from devhost.http.cors import CorsPolicy
from devhost.http.host_keys import DURABLE_KEY, HostKeys
from devhost.http.http_listener import HttpListener
from devhost.indexing.app_loader import LoadedApp
from devhost.invocation.invoker import Invoker
from devhost.page.function_page import FunctionPage
from devhost.page.instance_page import InstancePage
from devhost.page.page_api import PageApi
from devhost.page.queue_page import QueuePage
from devhost.page.request_guard import RequestGuard
from devhost.queue.queue_listener import QueueListener
from devhost.queue.queue_output import QueueOutput
from devhost.storage.storage_connection import StorageConnections
from devhost.timer.timer_listener import TimerListener

logger = logging.getLogger("devhost")


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
class HostParts:
    """What runs."""

    http: HttpListener
    admin: AdminApi
    management: ManagementApi
    invoker: Invoker
    dispatcher: Dispatcher
    queues: Sequence[QueueListener]
    timers: Sequence[TimerListener]

    async def stop(self, grace_seconds: float) -> None:
        """Take on no new work, and let what runs end within that time."""
        self.http.close_functions()
        self.invoker.stop_retrying()
        self.management.close()
        # HTTP stays up while functions end, for they may be calling the management API.
        await asyncio.gather(
            self.dispatcher.stop(grace_seconds),
            self.admin.stop(grace_seconds),
            self.invoker.wait_until_idle(grace_seconds),
            *(queue.stop(grace_seconds) for queue in self.queues),
            *(timer.stop(grace_seconds) for timer in self.timers),
        )
        await self.http.stop()


@dataclass(frozen=True, slots=True)
class PartsList:
    """What the parts are made of: the app with its errors, the task hub, the storage and all settings."""

    options: HostOptions
    settings: HostSettings
    app: LoadedApp
    hub: TaskHub
    storage: StorageConnections
    errors: list[str] = field(default_factory=list)

    def assemble(self) -> HostParts:
        """Make the parts and connect them; nothing runs yet."""
        app, settings = self.app, self.settings
        keys = self._keys() if self.options.enable_auth else None
        code = partial(keys.system.__getitem__, DURABLE_KEY) if keys else "devhost"
        urls = DurableClientUrls(settings.hub_name, self.options.port, self.options.address, code)
        invoker = self._invoker(urls)
        functions = _durable_functions(app)
        dispatcher = Dispatcher(
            self.hub,
            functions,
            invoker,
            most=settings.most,
            most_operations=settings.most_operations,
            http_pause=settings.http_pause,
        )
        admin = self._admin(invoker)
        management = ManagementApi(
            self.hub,
            dispatcher,
            functions,
            urls,
            replaces_active=settings.replaces_active,
            uses_forwarded_host=settings.uses_forwarded_host,
        )
        queues = [
            QueueListener(f, invoker, self.storage, settings.queues) for f in app.of_type("queueTrigger")
        ]
        timers = [
            TimerListener(f, invoker, self.hub, utc_now, settings.zone) for f in app.of_type("timerTrigger")
        ]
        page = self._page(invoker, timers, management, admin, keys)
        http = self._http(invoker, keys, management, admin, page)
        return HostParts(http, admin, management, invoker, dispatcher, queues, timers)

    def _keys(self) -> HostKeys:
        path = self.options.data_dir / "keys.json"
        keys = HostKeys.read(path, [function.name for function in self.app.functions])
        logger.info("Keys are checked; they are in %s", path)
        return keys

    def _invoker(self, urls: DurableClientUrls) -> Invoker:
        invoker = Invoker(str(self.options.script_root), self.settings.timeout)
        invoker.inputs["durableClient"] = urls.client_datum
        invoker.inputs["blob"] = BlobInput(self.storage).read
        invoker.outputs["blob"] = BlobOutput(self.storage).write
        invoker.outputs["queue"] = QueueOutput(self.storage, self.settings.queues.encoding).write
        return invoker

    def _admin(self, invoker: Invoker) -> AdminApi:
        return AdminApi(
            self.app,
            invoker,
            errors=self.errors,
            prefix=self.settings.http.route_prefix,
            script_root=str(self.options.script_root),
            extension_bundle=self.settings.extension_bundle,
        )

    def _page(
        self,
        invoker: Invoker,
        timers: Sequence[TimerListener],
        management: ManagementApi,
        admin: AdminApi,
        keys: HostKeys | None,
    ) -> PageApi:
        prefix = self.settings.http.route_prefix
        return PageApi(
            RequestGuard(self.options.address, lambda: keys.master if keys else None),
            FunctionPage(self.app, invoker.run_log, timers, route_prefix=prefix, errors=self.errors),
            InstancePage(self.hub),
            QueuePage(self.app.functions, self.storage, self.settings.queues.encoding),
            title=self.options.script_root.name,
            hub_name=self.settings.hub_name,
            management=management.handle,
            admin=admin.handle,
        )

    def _http(
        self,
        invoker: Invoker,
        keys: HostKeys | None,
        management: ManagementApi,
        admin: AdminApi,
        page: PageApi,
    ) -> HttpListener:
        origins, allows_credentials = self.options.cors, self.options.cors_credentials
        return HttpListener(
            self.app.of_type("httpTrigger"),
            invoker,
            settings=self.settings.http,
            authorization=Authorization(keys),
            cors=CorsPolicy(origins, allows_credentials=allows_credentials) if origins else None,
            apis=[management.handle, *([KeyApi(keys).handle] if keys else []), admin.handle, page.handle],
        )


def _durable_functions(app: LoadedApp) -> DurableFunctions:
    return DurableFunctions(
        orchestrators={f.durable_name.lower(): f for f in app.of_type("orchestrationTrigger")},
        activities={f.durable_name.lower(): f for f in app.of_type("activityTrigger")},
        absent=frozenset(app.absent_activities),
        entities={f.durable_name.lower(): f for f in app.of_type("entityTrigger")},
        absent_orchestrators=frozenset(app.absent_orchestrators),
        absent_entities=frozenset(app.absent_entities),
    )
