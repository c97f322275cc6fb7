"""Writes of several pieces of work in one commit, which is most of what a write costs."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from devhost.durable.hub_file import HubFile

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
        outcomes: list[tuple[asyncio.Future[Any], Any, Exception | None]] = []
        try:
            with self._hub.group():
                for change, written in waiting:
                    try:
                        outcomes.append((written, change(), None))
                    except Exception as error:  # noqa: BLE001 (its caller gets it; the others' writes stay)
                        outcomes.append((written, None, error))
        except Exception as error:  # noqa: BLE001 (every caller gets it: nothing was stored)
            outcomes = [(written, None, error) for _, written in waiting]
        for written, result, failure in outcomes:
            if written.cancelled():
                continue
            if failure is not None:
                written.set_exception(failure)
            else:
                written.set_result(result)
