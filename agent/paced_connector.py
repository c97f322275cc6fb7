"""A Connector that keeps to the channel's limits: those of each conversation, and those of each tenant."""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

from agent.conversation import Place
from agent.conversation_lines import ConversationLines, Line
from agent.pacing import Limits
from agent.ports import ChannelBusy, Clock, Connector, Created, Sent, TenantRates
from agent.tenant_slots import TenantSlots

Told = TypeVar("Told")

# Who would wait for longer is told to come back: a queue message or a timer waits better than a process.
LONGEST_WAIT = timedelta(seconds=2)


class PacedConnector:
    """Each request waits for its turn in its conversation, and then for a slot of its tenant.

    Raises SendPaced, without a request, where that would take longer than LONGEST_WAIT; who is let into a
    block of slots that begins by then may wait for half a second more. Replies do not wait for a slot, for
    they must be quick; they are charged to the tenant.

    One call takes one slot, also where the connector makes several requests of it: the pages of ``members``,
    a second try after a 401, another host. These go uncounted, by every instance.
    """

    def __init__(
        self,
        connector: Connector,
        *,
        conversation_limits: Limits,
        tenant_requests_per_second: float,
        tenant_rates: TenantRates,
        clock: Clock,
    ) -> None:
        self._connector = connector
        self._lines = ConversationLines(conversation_limits, clock=clock)
        self._slots = TenantSlots(tenant_rates, requests_per_second=tenant_requests_per_second, clock=clock)
        self._clock = clock

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        return await self._in_line(
            lambda: self._connector.send(outgoing, at=at, reply_to_id=reply_to_id),
            at=at,
            is_reply=reply_to_id is not None,
        )

    async def update(self, outgoing: dict[str, Any], *, at: Place, activity_id: str) -> Sent:
        return await self._in_line(
            lambda: self._connector.update(outgoing, at=at, activity_id=activity_id), at=at
        )

    async def delete(self, *, at: Place, activity_id: str) -> None:
        await self._in_line(lambda: self._connector.delete(at=at, activity_id=activity_id), at=at)

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        await self._slot(tenant_id, deadline=self._clock.now() + LONGEST_WAIT)
        try:
            return await self._connector.create_conversation(
                parameters, service_url=service_url, tenant_id=tenant_id
            )
        except ChannelBusy as busy:
            await self._heed(busy, tenant_id)
            raise

    async def members(self, *, at: Place) -> list[dict[str, Any]]:
        return await self._in_line(lambda: self._connector.members(at=at), at=at, is_counted=False)

    async def _in_line(
        self,
        request: Callable[[], Coroutine[Any, Any, Told]],
        *,
        at: Place,
        is_reply: bool = False,
        is_counted: bool = True,
    ) -> Told:
        """Make the request when it is its turn. ``is_counted``: it counts as a send into the conversation."""
        now = self._clock.now()
        deadline = now + LONGEST_WAIT
        line = await self._lines.enter(at.conversation_id, now=now, deadline=deadline, is_counted=is_counted)
        try:
            if is_reply:
                self._charge(at.tenant_id)
            else:
                await self._slot(at.tenant_id, deadline=deadline)
            return await self._request(request, line, tenant_id=at.tenant_id, is_counted=is_counted)
        finally:
            self._lines.leave(line)

    async def _request(
        self,
        request: Callable[[], Coroutine[Any, Any, Told]],
        line: Line,
        *,
        tenant_id: str | None,
        is_counted: bool,
    ) -> Told:
        try:
            return await request()
        except ChannelBusy as busy:
            if busy.slows != "nothing":
                self._lines.block(line, busy.retry_after)
            await self._heed(busy, tenant_id)
            raise
        finally:
            if is_counted:
                self._lines.count(line)

    async def _slot(self, tenant_id: str | None, *, deadline: datetime) -> None:
        if tenant_id:  # the Playground and Direct Line have none
            await self._slots.take(tenant_id, deadline=deadline)

    def _charge(self, tenant_id: str | None) -> None:
        if tenant_id:
            self._slots.charge(tenant_id)

    async def _heed(self, busy: ChannelBusy, tenant_id: str | None) -> None:
        if busy.slows == "tenant" and tenant_id:
            await self._slots.slow_down(tenant_id)
