"""Every port without a network, on the same contract: for tests, and to try a change without storage."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import msgspec

from adapters.bot_adapter import ConnectorBotAdapter
from agent.answer import Citation
from agent.approval import ApprovalEntry
from agent.callbacks import Callbacks, ReportName
from agent.conversation import PERSONAL, Conversation, Place, Route
from agent.delivery_record import FORGOTTEN, DeliveryRecord
from agent.job_entry import JobEntry
from agent.job_report import JobReport
from agent.order import Order
from agent.pacing import TenantRate
from agent.ports import AnswererRefused, Caller, Clock, Created, DeliveryOptions, Sent
from agent.tenant_doors import TenantDoors
from agent.turn_claim import TurnClaim, TurnResponse
from agent.turn_trouble import Troubles


class SteppedClock:
    """A clock that moves when it is told to, and when somebody sleeps by it."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        self.step(timedelta(seconds=seconds))

    def step(self, by: timedelta) -> None:
        self._now += by


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One call that a RecordingConnector took."""

    method: str
    service_url: str
    conversation_id: str = ""
    tenant_id: str | None = None
    reply_to_id: str | None = None
    activity_id: str | None = None
    body: dict[str, Any] | None = None


class RecordingConnector:
    """Keeps what is sent in ``calls``; raises the errors put into ``errors``, one a call, in their order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.errors: list[Exception] = []
        self.everyone: list[dict[str, Any]] = []
        self._ids = count(1)

    @property
    def texts(self) -> list[str]:
        return [str((call.body or {}).get("text", "")) for call in self.calls if call.method == "send"]

    @property
    def said(self) -> list[str]:
        """Each message in words: its text, or what stands for its card."""
        bodies = [call.body or {} for call in self.calls if call.method == "send"]
        said = [body for body in bodies if body.get("type") == "message"]
        return [str(body.get("text") or body.get("summary", "")) for body in said]

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        self._take("send", at, reply_to_id=reply_to_id, body=outgoing)
        return Sent(activity_id=f"sent-{next(self._ids)}", service_url=at.service_url)

    async def update(self, outgoing: dict[str, Any], *, at: Place, activity_id: str) -> Sent:
        self._take("update", at, activity_id=activity_id, body=outgoing)
        return Sent(activity_id=activity_id, service_url=at.service_url)

    async def delete(self, *, at: Place, activity_id: str) -> None:
        self._take("delete", at, activity_id=activity_id)

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        nowhere_yet = Place(service_url=service_url, conversation_id="", tenant_id=tenant_id)
        self._take("create_conversation", nowhere_yet, body=parameters)
        return Created(
            conversation_id=f"a:created-{next(self._ids)}",
            service_url=service_url,
            activity_id=f"sent-{next(self._ids)}" if "activity" in parameters else None,
        )

    async def members(self, *, at: Place) -> list[dict[str, Any]]:
        self._take("members", at)
        return self.everyone

    def _take(self, method: str, at: Place, **fields: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        self.calls.append(
            Call(
                method=method,
                service_url=at.service_url,
                conversation_id=at.conversation_id,
                tenant_id=at.tenant_id,
                **fields,
            )
        )


class OpenDoor:
    """A TokenValidator, and its Caller, that lets every turn in."""

    async def authenticate(self, authorization: str | None) -> Caller:
        return self

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        return


class InMemoryConversationStore:
    def __init__(self) -> None:
        self._conversations: dict[tuple[str, str], Conversation] = {}
        self._personal: dict[tuple[str, str, Route], Conversation] = {}
        self._heard_at: dict[tuple[str | None, str | None], datetime] = {}

    async def heard(self, conversation: Conversation, *, at: datetime) -> None:
        self._keep(conversation)
        if conversation.conversation_type == PERSONAL:
            self._heard_at[conversation.tenant_id, conversation.aad_object_id] = at
        if conversation.is_personal_in_teams:
            self._point_to(conversation, "teams")

    async def created(self, conversation: Conversation, *, route: Route) -> None:
        self._keep(conversation)
        self._point_to(conversation, route)

    async def find(self, channel_id: str, conversation_id: str) -> Conversation | None:
        return self._conversations.get((channel_id, conversation_id))

    async def find_personal(self, tenant_id: str, aad_object_id: str, *, route: Route) -> Conversation | None:
        found = self._personal.get((tenant_id, aad_object_id, route))
        if found and found.gone_at:
            heard_at = self._heard_at.get((tenant_id, aad_object_id), found.gone_at)
            return None if heard_at > found.gone_at else found
        return found

    async def mark_gone(self, conversation: Conversation, *, at: datetime) -> None:
        self._change(conversation, gone_at=at)

    async def move(self, conversation: Conversation, *, service_url: str) -> None:
        self._change(conversation, service_url=service_url)

    def _change(self, conversation: Conversation, **fields: Any) -> None:
        key = conversation.conversation_key

        def changed(kept: Conversation) -> Conversation:
            return msgspec.structs.replace(kept, **fields) if kept.conversation_key == key else kept

        self._conversations = {ids: changed(kept) for ids, kept in self._conversations.items()}
        self._personal = {user: changed(kept) for user, kept in self._personal.items()}

    def _keep(self, conversation: Conversation) -> None:
        self._conversations[conversation.channel_id, conversation.conversation_id] = conversation

    def _point_to(self, conversation: Conversation, route: Route) -> None:
        if conversation.tenant_id and conversation.aad_object_id:
            user = (conversation.tenant_id, conversation.aad_object_id, route)
            self._personal[user] = conversation


class InMemoryTurnClaims:
    def __init__(self) -> None:
        self._claims: dict[str, TurnClaim] = {}
        self._lasting: set[str] = set()
        self._versions = count(1)

    async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
        if turn_key in self._claims:
            return None
        if is_lasting:
            self._lasting.add(turn_key)
        return self._write(TurnClaim(turn_key=turn_key, state="claimed", claimed_at=at))

    async def read(self, turn_key: str) -> TurnClaim | None:
        return self._claims.get(turn_key)

    async def take_over(self, claim: TurnClaim, *, at: datetime) -> TurnClaim | None:
        return await self.write(msgspec.structs.replace(claim, state="claimed", claimed_at=at))

    async def write(self, claim: TurnClaim) -> TurnClaim | None:
        known = self._claims.get(claim.turn_key)
        if known is None or known.version != claim.version:
            return None
        response = msgspec.convert(
            json.loads(json.dumps(msgspec.to_builtins(claim.response))), TurnResponse | None
        )
        written = self._write(
            msgspec.structs.replace(claim, response=response, is_resumed=False, is_uncertain=False)
        )
        return msgspec.structs.replace(claim, version=written.version)

    async def forget(self, turn_key: str) -> None:
        self._claims.pop(turn_key, None)
        self._lasting.discard(turn_key)

    async def forget_before(self, cutoff: datetime) -> int:
        old = [
            key
            for key, claim in self._claims.items()
            if claim.claimed_at < cutoff and key not in self._lasting
        ]
        for key in old:
            del self._claims[key]
        return len(old)

    def _write(self, claim: TurnClaim) -> TurnClaim:
        written = msgspec.structs.replace(claim, version=str(next(self._versions)))
        self._claims[claim.turn_key] = written
        return written


class InMemoryDeliveryLedger:
    def __init__(self) -> None:
        self._records: dict[str, DeliveryRecord] = {}
        self._versions = count(1)

    async def insert(self, record: DeliveryRecord) -> DeliveryRecord | None:
        return None if record.delivery_id in self._records else self._write(record)

    async def read(self, delivery_id: str) -> DeliveryRecord | None:
        return self._records.get(delivery_id)

    async def replace(self, record: DeliveryRecord) -> DeliveryRecord | None:
        known = self._records.get(record.delivery_id)
        return self._write(record) if known and known.version == record.version else None

    async def forget_before(self, cutoff: datetime) -> int:
        old = [
            record.delivery_id
            for record in self._records.values()
            if record.updated_at < cutoff and record.state in FORGOTTEN
        ]
        for delivery_id in old:
            del self._records[delivery_id]
        return len(old)

    def _write(self, record: DeliveryRecord) -> DeliveryRecord:
        written = msgspec.structs.replace(record, version=str(next(self._versions)))
        self._records[record.delivery_id] = written
        return written


class InMemoryJobReports:
    def __init__(self) -> None:
        self._reports: dict[tuple[str, ReportName], JobReport] = {}

    async def put(self, report: JobReport) -> None:
        known = self._reports.get((report.job_id, report.name))
        if known is None or known.content != report.content:
            self._reports[report.job_id, report.name] = report

    async def of(self, job_id: str) -> dict[ReportName, JobReport]:
        return {report.name: report for report in self._reports.values() if report.job_id == job_id}

    async def forget_before(self, cutoff: datetime) -> int:
        old = [key for key, report in self._reports.items() if report.reported_at < cutoff]
        for key in old:
            del self._reports[key]
        return len(old)


class InMemoryJobBoard:
    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], JobEntry] = {}

    async def insert(self, entry: JobEntry) -> bool:
        if (entry.owner_key, entry.job_id) in self._entries:
            return False
        await self.put(entry)
        return True

    async def put(self, entry: JobEntry) -> None:
        self._entries[entry.owner_key, entry.job_id] = entry

    async def of_owner(self, owner_key: str, *, at_most: int) -> list[JobEntry]:
        theirs = [entry for entry in self._entries.values() if entry.owner_key == owner_key]
        return sorted(theirs, key=lambda entry: entry.requested_at, reverse=True)[:at_most]

    async def find(self, owner_key: str, job_id: str) -> JobEntry | None:
        return self._entries.get((owner_key, job_id))

    async def forget_before(self, cutoff: datetime) -> int:
        old = [
            key for key, entry in self._entries.items() if entry.updated_at < cutoff and not entry.is_running
        ]
        for key in old:
            del self._entries[key]
        return len(old)


class InMemoryApprovals:
    def __init__(self) -> None:
        self._entries: dict[str, ApprovalEntry] = {}
        self._versions = count(1)

    async def insert(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        return None if entry.approval_id in self._entries else self._write(entry)

    async def find(self, approval_id: str) -> ApprovalEntry | None:
        return self._entries.get(approval_id)

    async def answer(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        known = self._entries.get(entry.approval_id)
        return self._write(entry) if known and known.version == entry.version else None

    async def forget_before(self, cutoff: datetime) -> int:
        old = [
            approval_id
            for approval_id, entry in self._entries.items()
            if (entry.expires_at if entry.is_open else entry.answered_at or entry.expires_at) < cutoff
        ]
        for approval_id in old:
            del self._entries[approval_id]
        return len(old)

    def _write(self, entry: ApprovalEntry) -> ApprovalEntry:
        written = msgspec.structs.replace(entry, version=str(next(self._versions)))
        self._entries[entry.approval_id] = written
        return written


class InMemoryTenantRates:
    """May be shared by several PacedConnectors, as if each were in a process of its own."""

    def __init__(self) -> None:
        self._rates: dict[str, TenantRate] = {}
        self._versions = count(1)

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        return None if rate.tenant_id in self._rates else self._write(rate)

    async def read(self, tenant_id: str) -> TenantRate | None:
        return self._rates.get(tenant_id)

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        known = self._rates.get(rate.tenant_id)
        return self._write(rate) if known and known.version == rate.version else None

    def _write(self, rate: TenantRate) -> TenantRate:
        written = msgspec.structs.replace(rate, version=str(next(self._versions)))
        self._rates[rate.tenant_id] = written
        return written


class InMemoryQueue:
    """Keeps what is put on it, with the delay, in ``messages``."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, timedelta]] = []

    async def put(self, body: bytes, *, delay: timedelta) -> None:
        self.messages.append((body, delay))


class InMemoryOrderService:
    def __init__(
        self,
        *,
        clock: Clock,
        confirm_after: timedelta = timedelta(seconds=10),
        deliver_after: timedelta = timedelta(seconds=20),
    ) -> None:
        self._clock = clock
        self._confirm_after = confirm_after
        self._deliver_after = deliver_after
        self._orders: dict[str, tuple[Order, datetime]] = {}
        self._numbers = count(1292)

    async def place(self, order_id: str, *, item: str, customer: Conversation) -> Order:
        if order_id not in self._orders:
            placed_at = self._clock.now() + self._confirm_after
            order = Order(
                order_id=order_id,
                number=next(self._numbers),
                item=item,
                status="accepted",
                next_change_in=self._confirm_after,
                delivered_at=placed_at + self._deliver_after,
                channel_id=customer.channel_id,
                conversation_id=customer.conversation_id,
                tenant_id=customer.tenant_id,
                aad_object_id=customer.aad_object_id,
            )
            self._orders[order_id] = (order, placed_at)
        return await self.get(order_id)

    async def get(self, order_id: str) -> Order:
        order, placed_at = self._orders[order_id]
        now = self._clock.now()
        if order.status == "cancelled":
            return msgspec.structs.replace(order, next_change_in=timedelta(0))
        next_change_at = placed_at if now < placed_at else order.delivered_at
        return msgspec.structs.replace(
            order,
            status="delivered" if now >= order.delivered_at else "placed" if now >= placed_at else "accepted",
            next_change_in=max(next_change_at - now, timedelta(0)),
        )

    async def open_or_delivered_since(self, cutoff: datetime) -> list[Order]:
        return [
            await self.get(order_id)
            for order_id, (order, _) in self._orders.items()
            if order.delivered_at > cutoff and order.status != "cancelled"
        ]

    async def cancel(self, order_id: str) -> Order:
        order, placed_at = self._orders[order_id]
        if (await self.get(order_id)).status != "delivered":
            self._orders[order_id] = (msgspec.structs.replace(order, status="cancelled"), placed_at)
        return await self.get(order_id)

    async def mark_delivered(self, order_id: str) -> None:
        order, _ = self._orders[order_id]
        now = self._clock.now()
        self._orders[order_id] = (msgspec.structs.replace(order, delivered_at=now), now)


class InMemoryAnswerer:
    """Answers each question with ``pieces``; an error among them is raised in its place, once."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.pieces: list[str | Citation | Exception] = ["It ", "depends."]

    async def answer(self, question: str, *, asked_by: Conversation) -> AsyncIterator[str | Citation]:
        if not question.strip():
            raise AnswererRefused("there is no question")
        self.asked.append(question)
        for piece in list(self.pieces):
            if isinstance(piece, Exception):
                self.pieces.remove(piece)
                raise piece
            yield piece


class NothingToMake:
    """A Storage that needs no queues and tables."""

    async def make_missing(self) -> None:
        return


class InMemoryServices:
    """All ports in memory, on a stepped clock unless another is given."""

    def __init__(self, *, route: Route = "teams", clock: SteppedClock | None = None) -> None:
        self.clock = clock or SteppedClock()
        self.connector = RecordingConnector()
        self.troubles = Troubles(self.connector)
        self.doors = TenantDoors()
        self.bot_runner = ConnectorBotAdapter(connector=self.connector)
        self.token_validator = OpenDoor()
        self.conversations = InMemoryConversationStore()
        self.turn_claims = InMemoryTurnClaims()
        self.ledger = InMemoryDeliveryLedger()
        self.job_reports = InMemoryJobReports()
        self.callbacks = Callbacks(
            secrets=("in memory, of thirty-two letters",),
            public_url="https://afterword.example",
            now=self.clock.now,
        )
        self.job_board = InMemoryJobBoard()
        self.approvals = InMemoryApprovals()
        self.proactive_queue = InMemoryQueue()
        self.orders = InMemoryOrderService(clock=self.clock)
        self.answerer = InMemoryAnswerer()
        self.storage = NothingToMake()
        self.delivery_options = DeliveryOptions(
            route=route, service_url="https://smba.example/teams/", agent_id="28:agent"
        )
        self.turn_budget = timedelta(seconds=10)
        self.retention = timedelta(days=7)
        self.licence_approver = ""
