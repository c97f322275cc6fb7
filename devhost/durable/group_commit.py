"""Writes of several pieces of work in one commit, which is most of what a write costs."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from devhost.durable.hub_file import GroupLost, HubFile

Result = TypeVar("Result")


class GroupCommit:
    """Collects the writes that come in one turn of the event loop.

    Each stays whole or leaves nothing, as if alone, and is in the file when `write` returns.
    """

    def __init__(self, hub: HubFile) -> None:
        self._hub = hub
        self._waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    async def write(self, change: Callable[[], Result]) -> Result:
        """Run `change`, a call of the hub, beside others'. Raises what it raises, or what the commit did."""
        loop = asyncio.get_running_loop()
        written: asyncio.Future[Result] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        self._waiting.append((change, written))
        return await written

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        changes = [change for change, _ in waiting]
        try:
            with self._hub.group():
                outcomes = [_outcome(change) for change in changes]
        except GroupLost:
            outcomes = [_outcome(change) for change in changes]  # one spoiled it for all: each for itself
        except Exception as error:  # noqa: BLE001 (every caller gets it: nothing was stored)
            outcomes = [(None, error)] * len(changes)
        for (_, written), (result, failure) in zip(waiting, outcomes, strict=True):
            if written.cancelled():
                continue
            if failure is not None:
                written.set_exception(failure)
            else:
                written.set_result(result)


def _outcome(change: Callable[[], Any]) -> tuple[Any, Exception | None]:
    try:
        return change(), None
    except Exception as error:  # noqa: BLE001 (its caller gets it; the others' writes stay)
        return None, error
