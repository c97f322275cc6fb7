"""Which adapter is plugged into which port; each is imported when it is first plugged in.

Imports cost cold start (botbuilder 300 ms, the storage SDKs 200): a step of an orchestration that needs
neither does not pay for them. That is why the imports stand inside the properties.
"""

import gc
import logging
from datetime import timedelta
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from agent.callbacks import Callbacks
from agent.ports import (
    Answerer,
    Approvals,
    BotRunner,
    Clock,
    Connector,
    ConversationStore,
    DeliveryLedger,
    DeliveryOptions,
    JobBoard,
    JobReports,
    OrderService,
    ProactiveQueue,
    Services,
    Storage,
    TokenValidator,
    TurnClaims,
)
from agent.tenant_doors import TenantDoors
from agent.turn_trouble import Troubles
from settings import Settings, is_loopback, is_safe_url, read_settings

if TYPE_CHECKING:
    from adapters.clouds import Cloud
    from adapters.connector_client import Credentials
    from adapters.storage_account import StorageAccount
    from adapters.tables import Tables


@cache
def services() -> Services:
    """The app's ports, plugged by its settings; one object a process. Raises SettingsError.

    Called in triggers/ and activities/ only.
    """
    # The storage SDKs log every request and its headers as information, which is paid for line by line.
    logging.getLogger("azure.core").setLevel(logging.WARNING)
    return AzureServices(read_settings())


class AzureServices:
    """The ports on Azure Storage and Bot Connector."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @cached_property
    def clock(self) -> Clock:
        from adapters.system_clock import SystemClock

        return SystemClock()

    @cached_property
    def connector(self) -> Connector:
        from adapters.table_tenant_rates import TableTenantRates
        from agent.paced_connector import PacedConnector

        return PacedConnector(
            self._bot_connector,
            conversation_limits=self._settings.conversation_limits,
            tenant_requests_per_second=self._settings.tenant_requests_per_second,
            tenant_rates=TableTenantRates(self._tables),
            clock=self.clock,
        )

    @cached_property
    def _bot_connector(self) -> Connector:
        from adapters.connector_client import BotConnectorClient
        from adapters.service_hosts import ServiceHosts

        settings = self._settings
        return BotConnectorClient(
            self._credentials,
            hosts=ServiceHosts(
                cloud=self._cloud, also=settings.service_hosts, with_loopback=settings.is_development
            ),
            other_service_urls=self._cloud.other_service_urls,
        )

    @cached_property
    def troubles(self) -> Troubles:
        return Troubles(self.connector)

    @cached_property
    def doors(self) -> TenantDoors:
        return TenantDoors()

    @cached_property
    def bot_runner(self) -> BotRunner:
        from adapters.bot_adapter import ConnectorBotAdapter

        # This was the last import and the largest. What is there now stays: else the garbage collector walks
        # all of it again and again, which costs a turn up to a third of its time.
        gc.freeze()
        return ConnectorBotAdapter(connector=self.connector)

    @cached_property
    def token_validator(self) -> TokenValidator:
        from adapters.token_validator import NoTurns, TenantsOnly, UnsignedTurns

        settings = self._settings
        validator: TokenValidator = NoTurns()
        if settings.app_id:
            validator = self._signed_turns()
        elif settings.accepts_unsigned_turns:
            validator = UnsignedTurns(is_loopback=is_loopback)
        return TenantsOnly(validator, tenants=settings.tenants) if settings.tenants else validator

    def _signed_turns(self) -> TokenValidator:
        from adapters.signed_tokens import signed_tokens
        from adapters.token_issuers import CHANNELS, emulator_issuer
        from adapters.token_validator import ChannelTokenValidator, EmulatorTokenValidator

        settings = self._settings
        tokens_of = partial(
            signed_tokens,
            app_id=settings.app_id,
            is_allowed=partial(is_safe_url, is_development=settings.is_development),
        )
        issuer = CHANNELS[settings.cloud]
        if settings.open_id_metadata_url:
            issuer = msgspec.structs.replace(issuer, metadata_url=settings.open_id_metadata_url)
        channel = ChannelTokenValidator(tokens_of(issuer))
        if settings.emulator_tokens == "off":
            return channel
        entra = emulator_issuer(settings.cloud, app_tenant_id=settings.app_tenant_id)
        return EmulatorTokenValidator(
            tokens_of(entra), app_id=settings.app_id, channel=channel, is_loopback=is_loopback
        )

    @cached_property
    def conversations(self) -> ConversationStore:
        from adapters.table_conversations import TableConversationStore

        return TableConversationStore(self._tables)

    @cached_property
    def turn_claims(self) -> TurnClaims:
        from adapters.table_turn_claims import TableTurnClaims

        return TableTurnClaims(self._tables)

    @cached_property
    def ledger(self) -> DeliveryLedger:
        from adapters.table_delivery_ledger import TableDeliveryLedger

        return TableDeliveryLedger(self._tables)

    @cached_property
    def job_reports(self) -> JobReports:
        from adapters.table_job_reports import TableJobReports

        return TableJobReports(self._tables)

    @cached_property
    def callbacks(self) -> Callbacks:
        settings = self._settings
        return Callbacks(
            secrets=settings.callback_secrets, public_url=settings.public_url, now=self.clock.now
        )

    @cached_property
    def job_board(self) -> JobBoard:
        from adapters.table_jobs import TableJobBoard

        return TableJobBoard(self._tables)

    @cached_property
    def approvals(self) -> Approvals:
        from adapters.table_approvals import TableApprovals

        return TableApprovals(self._tables)

    @cached_property
    def proactive_queue(self) -> ProactiveQueue:
        from adapters.storage_queue import StorageQueue

        return StorageQueue(self._account, self._settings.proactive_messages_queue)

    @cached_property
    def orders(self) -> OrderService:
        from adapters.table_orders import TableOrderService

        return TableOrderService(
            self._tables,
            clock=self.clock,
            confirm_after=timedelta(seconds=self._settings.order_wait_seconds),
            deliver_after=timedelta(seconds=self._settings.order_delivery_seconds),
        )

    @cached_property
    def answerer(self) -> Answerer:
        settings = self._settings
        if settings.answerer_model:
            from adapters.openai_answerer import OpenAIAnswerer

            return OpenAIAnswerer(
                model=settings.answerer_model,
                key=settings.answerer_key,
                base_url=settings.answerer_url,
            )
        from adapters.local_answerer import LocalAnswerer, NoAnswerer

        return LocalAnswerer(clock=self.clock) if settings.is_development else NoAnswerer()

    @cached_property
    def storage(self) -> Storage:
        from adapters.app_storage import AppStorage

        queue_name = self._settings.proactive_messages_queue
        return AppStorage(
            self._tables,
            account=self._account,
            queue_names=(queue_name, f"{queue_name}-poison"),
        )

    @cached_property
    def delivery_options(self) -> DeliveryOptions:
        return DeliveryOptions(
            route=self._settings.proactive_route,
            service_url=self._settings.proactive_service_url or self._cloud.service_url,
            agent_id=f"28:{self._settings.app_id}" if self._settings.app_id else "",
            max_activity_bytes=self._settings.max_activity_bytes,
            ambiguous_sends=self._settings.ambiguous_sends or None,
        )

    @cached_property
    def turn_budget(self) -> timedelta:
        return self._settings.turn_budget

    @cached_property
    def retention(self) -> timedelta:
        return self._settings.retention

    @cached_property
    def licence_approver(self) -> str:
        return self._settings.licence_approver

    @cached_property
    def _cloud(self) -> "Cloud":
        from adapters.clouds import CLOUDS

        return CLOUDS[self._settings.cloud]

    @cached_property
    def _credentials(self) -> "Credentials":
        from adapters.credentials import CachedCredentials, NoCredentials

        settings, cloud = self._settings, self._cloud
        if not settings.app_id:
            return NoCredentials()

        from adapters.entra import EntraApp, ManagedIdentity, certificate, federated, secret

        if settings.app_type == "UserAssignedMSI":
            return CachedCredentials(ManagedIdentity(settings.app_id, resource=cloud.resource).fetch)
        if settings.app_certificate:
            credential = certificate(settings.app_certificate)
        elif settings.app_federated_client_id:
            credential = federated(settings.app_federated_client_id, cloud=cloud)
        else:
            credential = secret(settings.app_password)
        tenant_id = cloud.multi_tenant if settings.app_type == "MultiTenant" else settings.app_tenant_id
        app = EntraApp(app_id=settings.app_id, tenant_id=tenant_id, cloud=cloud, credential=credential)
        return CachedCredentials(app.fetch)

    @cached_property
    def _tables(self) -> "Tables":
        from adapters.tables import Tables

        return Tables(self._account)

    @cached_property
    def _account(self) -> "StorageAccount":
        settings = self._settings
        if settings.storage_connection:
            from adapters.storage_account import account_of

            return account_of(settings.storage_connection)
        from adapters.managed_identity import account_by_identity

        return account_by_identity(
            account_name=settings.storage_account_name,
            table_url=settings.storage_table_url,
            queue_url=settings.storage_queue_url,
            client_id=settings.storage_client_id,
        )
