"""Runs the entity function for one batch of operations."""

import logging
from collections.abc import Callable
from datetime import datetime

from azure.functions.meta import Datum

from devhost.durable.entity_batch import (
    BatchAnswer,
    BatchRefused,
    EntityRequest,
    batch_change,
    batch_payload,
    name_and_key,
    read_answer,
    timed_out,
)
from devhost.durable.episode import DurableFunctions
from devhost.durable.records import EntityChange, EntityWork
from devhost.invocation.invoker import FunctionTimeout, InvocationResult, Invoker

logger = logging.getLogger("devhost")


class EntityMissing(Exception):
    """The app has no such entity now; its requests wait in the hub until it has. The text is its name."""


class BatchAbandoned(Exception):
    """The function failed as a whole; nothing changes, and the batch is to be tried again later."""


class EntityRun:
    """Stores nothing: what a batch changes is for the caller to commit, all at once."""

    def __init__(self, functions: DurableFunctions, invoker: Invoker, clock: Callable[[], datetime]) -> None:
        self._functions, self._invoker, self._clock = functions, invoker, clock

    async def run(self, work: EntityWork) -> EntityChange:
        """Run a batch. Raises EntityMissing and BatchAbandoned."""
        name, _ = name_and_key(work.entity_id)
        function = self._functions.entities.get(name)
        if function is None:
            raise EntityMissing(name)
        requests = [EntityRequest.read(body) for body in work.messages]
        payload = Datum(batch_payload(work, requests), "string")
        answer = _answer(work, len(requests), await self._invoker.invoke(function, payload))
        for request, result in zip(requests, answer.results, strict=True):
            if result.is_error:
                logger.error(
                    "The operation '%s' of entity %s failed: %s",
                    request.operation,
                    work.entity_id,
                    result.result,
                )
        return batch_change(work, requests, answer, self._clock())


def _answer(work: EntityWork, operations: int, result: InvocationResult) -> BatchAnswer:
    if isinstance(result.error, FunctionTimeout):
        return timed_out(work, operations, str(result.error))
    if result.error is not None:
        raise BatchAbandoned(result.error_text)
    try:
        return read_answer(result.returned.value if result.returned else None, operations)
    except BatchRefused as refused:
        raise BatchAbandoned(str(refused)) from None
