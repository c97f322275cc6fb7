"""Afterword's ports with the real connector, credentials and token check; its stores in memory or real."""

import os
from functools import cache, cached_property

from adapters.in_memory import (
    InMemoryConversationStore,
    InMemoryDeliveryLedger,
    InMemoryJobBoard,
    InMemoryTenantRates,
    InMemoryTurnClaims,
)
from agent.paced_connector import PacedConnector
from agent.ports import Connector, ConversationStore, DeliveryLedger, JobBoard, Services, TurnClaims
from composition import AzureServices
from settings import read_settings


class StoresInMemory(AzureServices):
    """What is deployed, but its tables of turns, messages and jobs."""

    @cached_property
    def connector(self) -> Connector:
        return PacedConnector(
            self._bot_connector,
            conversation_limits=self._settings.conversation_limits,
            tenant_requests_per_second=self._settings.tenant_requests_per_second,
            tenant_rates=InMemoryTenantRates(),
            clock=self.clock,
        )

    @cached_property
    def conversations(self) -> ConversationStore:
        return InMemoryConversationStore()

    @cached_property
    def turn_claims(self) -> TurnClaims:
        return InMemoryTurnClaims()

    @cached_property
    def ledger(self) -> DeliveryLedger:
        return InMemoryDeliveryLedger()

    @cached_property
    def job_board(self) -> JobBoard:
        return InMemoryJobBoard()


@cache
def bench_services() -> Services:
    """By the environment variable BENCH_STORES: `memory`, or `azurite` for what is deployed."""
    kind = StoresInMemory if os.environ["BENCH_STORES"] == "memory" else AzureServices
    return kind(read_settings())


def connector_alone(services: Services) -> Connector:
    """The connector client itself, which keeps to no limits."""
    assert isinstance(services, AzureServices)
    return services._bot_connector
