"""What the agent needs from outside, as Protocols, with the errors they raise beside them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from agent.answer import Citation
from agent.approval import ApprovalEntry
from agent.callbacks import Callbacks, ReportName
from agent.conversation import Conversation, Place, Route
from agent.delivery_record import DeliveryRecord, WhenAmbiguous
from agent.job_entry import JobEntry
from agent.job_report import JobReport
from agent.order import Order
from agent.pacing import TenantRate
from agent.tenant_doors import TenantDoors
from agent.turn_claim import TurnClaim, TurnResponse
from agent.view import WhyEnded

Slows = Literal["nothing", "conversation", "tenant"]

if TYPE_CHECKING:
    from agent.turn_trouble import Troubles  # which itself needs the Connector


class ChannelError(Exception):
    """The channel did not take what we sent. Messages carry status and error code, never user text.

    ``trace``: the channel's own ids of the request, which its support asks for; empty where it told none.
    """

    def __init__(self, message: str, *, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace


class ConversationGone(ChannelError):
    """The agent was blocked, removed, or the conversation ended: forget it until it is heard again."""


class ConversationNotFound(ConversationGone):
    """The channel has no such conversation (any more): a user's may be created anew, once."""


class ChannelBusy(ChannelError):
    """Nothing was taken, and the channel asks to wait: try again after ``retry_after``.

    ``slows``: what the channel asked to be slower: the ``conversation``, where requests met, or the whole
    ``tenant``, into which too much is sent; ``nothing`` where it did not ask, but was out of order or away.
    """

    def __init__(
        self, message: str, *, retry_after: timedelta, slows: Slows = "nothing", trace: str = ""
    ) -> None:
        super().__init__(message, trace=trace)
        self.retry_after = retry_after
        self.slows: Slows = slows


class SendPaced(ChannelBusy):
    """We ourselves keep to the channel's limits: nothing was requested. Come back after ``retry_after``."""


class ChannelRefused(ChannelError):
    """The channel will never take this: do not send it again."""


class MessageTooLarge(ChannelRefused):
    """It is larger than the channel takes: make it smaller, or split it."""


class ActivityNotFound(ChannelRefused):
    """The activity that was to be changed is not there: send a new one instead."""


class StreamEnded(ChannelRefused):
    """The channel takes nothing more for this stream. ``why``: the user ``stopped`` it, it is ``over`` (too
    long, or too large), ``completed`` by a final before, or ``refused`` for another reason."""

    def __init__(self, message: str, *, why: WhyEnded, trace: str = "") -> None:
        super().__init__(message, trace=trace)
        self.why: WhyEnded = why


class StreamPartDropped(ChannelRefused):
    """The stream goes on, but this part of it is not in it: a later one, or itself, was there already."""


class TokenRefused(ChannelError):
    """We were given no token: our own settings are wrong, and nothing was sent. No secret is told."""


class DeliveryAmbiguous(ChannelError):
    """The request went out and no answer tells what became of it: do not resend blindly."""


class NotAuthenticated(Exception):
    """The turn carries no token: answer 401."""


class KeysUnavailable(Exception):
    """The channel's signing keys cannot be had, so no token can be checked: answer 503."""


class NotAuthorized(Exception):
    """The turn's token does not hold, or the turn may not come in here: answer 403."""


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """An activity that the channel took. ``activity_id`` is None where the channel tells none.

    ``service_url``: where it was taken, which differs from where it was sent to once the channel said that
    this is the wrong host. ``trace``: as in ChannelError.
    """

    activity_id: str | None
    service_url: str
    trace: str = ""


class Created(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation that was created, or was there; ``activity_id`` of the activity that came with it."""

    conversation_id: str
    service_url: str
    activity_id: str | None = None
    trace: str = ""


class Connector(Protocol):
    """The Bot Connector REST API, as far as we use it. Activities are plain JSON objects."""

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None = None) -> Sent:
        """Post one activity.

        Raises ConversationGone, ChannelBusy, ChannelRefused, MessageTooLarge, TokenRefused,
        DeliveryAmbiguous.
        """

    async def update(self, outgoing: dict[str, Any], *, at: Place, activity_id: str) -> Sent:
        """Replace an activity that we sent. It may be repeated, so what is ambiguous is ChannelBusy.

        Raises as ``send`` does, and ActivityNotFound.
        """

    async def delete(self, *, at: Place, activity_id: str) -> None:
        """Take back an activity that we sent. Raises as ``update`` does."""

    async def create_conversation(
        self, parameters: dict[str, Any], *, service_url: str, tenant_id: str
    ) -> Created:
        """Create a conversation, or find the one that is there: a user's exists once.

        Raises as ``send`` does; DeliveryAmbiguous only where ``parameters`` bring an activity along.
        """

    async def members(self, *, at: Place) -> list[dict[str, Any]]:
        """The members of the conversation, as the channel describes them. Raises as ``send`` does."""


class Replies(Protocol):
    """What is said in one turn."""

    async def send(self, outgoing: dict[str, Any], *, at: Place, reply_to_id: str | None) -> str | None:
        """Send a reply; its activity id. Raises as ``Connector.send`` does."""


class TenantRatesUnavailable(Exception):
    """What all instances share about a tenant cannot be read or written: go on alone, and slowly."""


class TenantRates(Protocol):
    """How fast all instances together send into each tenant.

    All raise TenantRatesUnavailable.
    """

    async def insert(self, rate: TenantRate) -> TenantRate | None:
        """Write the tenant's first row; it, with its version, or None when there is one."""

    async def read(self, tenant_id: str) -> TenantRate | None: ...

    async def replace(self, rate: TenantRate) -> TenantRate | None:
        """Write over the row that ``rate`` was made from; None when that changed since."""


class BotRunner(Protocol):
    """Runs a botbuilder bot on one incoming activity."""

    async def process(self, incoming: dict[str, Any], bot: Any, *, replies: Replies) -> TurnResponse | None:
        """Run the turn, what is said in it going out by ``replies``.

        Returns the body of the HTTP response for invokes and expected replies. Raises what the bot raises,
        and as ``Connector.send`` does.
        """


class Caller(Protocol):
    """Who sent a turn, as far as its token tells."""

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        """Let in a turn that says this of itself. Raises NotAuthorized."""


class TokenValidator(Protocol):
    """Did the channel sign this turn?"""

    async def authenticate(self, authorization: str | None) -> Caller:
        """Check all that needs no body, so that nobody else's body is read.

        Raises NotAuthenticated, NotAuthorized or KeysUnavailable.
        """


class ConversationStore(Protocol):
    """The conversations the agent knows; each is read by key, never by a scan."""

    async def heard(self, conversation: Conversation, *, at: datetime) -> None:
        """Keep the conversation as a turn just told it; it is no longer gone.

        A personal conversation in Teams becomes its user's, under tenant and Entra object id.
        """

    async def created(self, conversation: Conversation, *, route: Route) -> None:
        """Keep a personal conversation that we created, as its user's on this route."""

    async def find(self, channel_id: str, conversation_id: str) -> Conversation | None:
        """The conversation, gone or not; None when it was never heard of."""

    async def find_personal(self, tenant_id: str, aad_object_id: str, *, route: Route) -> Conversation | None:
        """The user's personal conversation on this route.

        None when there is none, or when it went and the user was heard elsewhere since.
        """

    async def mark_gone(self, conversation: Conversation, *, at: datetime) -> None:
        """Nothing is to be sent there until it is heard again. Unknown conversations are ignored."""

    async def move(self, conversation: Conversation, *, service_url: str) -> None:
        """It is reached at another Bot Connector from now on. Unknown conversations are ignored."""


class TurnClaims(Protocol):
    """Who is at work on a turn, so that a turn delivered twice is taken once."""

    async def insert(self, turn_key: str, *, at: datetime, is_lasting: bool = False) -> TurnClaim | None:
        """Claim the turn if nobody has; None when somebody has."""

    async def read(self, turn_key: str) -> TurnClaim | None: ...

    async def take_over(self, claim: TurnClaim, *, at: datetime) -> TurnClaim | None:
        """Claim it anew for ourselves, unless it changed since ``claim`` was read; None then."""

    async def write(self, claim: TurnClaim) -> TurnClaim | None:
        """Write the claim that we hold: its state, what was sent, its response to give again.

        None when it is not ours any more: another delivery took it over, or it is gone.
        """

    async def forget(self, turn_key: str) -> None: ...

    async def forget_before(self, cutoff: datetime) -> int:
        """Drop the claims made before ``cutoff`` that are not lasting; how many there were."""


class DeliveryLedger(Protocol):
    """What became of each message that went out unasked, by its delivery id."""

    async def insert(self, record: DeliveryRecord) -> DeliveryRecord | None:
        """Write the first record of this delivery; it, with its version, or None when there is one."""

    async def read(self, delivery_id: str) -> DeliveryRecord | None: ...

    async def replace(self, record: DeliveryRecord) -> DeliveryRecord | None:
        """Write over the record that ``record`` was made from; None when that changed since."""

    async def forget_before(self, cutoff: datetime) -> int:
        """Drop the records that ended well before ``cutoff``, not the failed; how many there were."""


class JobReports(Protocol):
    """What the systems that do the work reported of each job: the newest report of each name."""

    async def put(self, report: JobReport) -> None:
        """Keep the report, in place of the one of its name; the same content again changes nothing."""

    async def of(self, job_id: str) -> dict[ReportName, JobReport]:
        """All that was reported of the job, by name."""

    async def forget_before(self, cutoff: datetime) -> int:
        """Drop the reports made before ``cutoff``; how many there were."""


class JobBoard(Protocol):
    """What each user's jobs are doing; a job is found by its owner alone."""

    async def insert(self, entry: JobEntry) -> bool:
        """Write the job's first entry; False, and nothing is written, when it has one."""

    async def put(self, entry: JobEntry) -> None:
        """Write the job's entry, over the one that is there."""

    async def of_owner(self, owner_key: str, *, at_most: int) -> list[JobEntry]:
        """The owner's jobs, of those that were asked for last, the newest first."""

    async def find(self, owner_key: str, job_id: str) -> JobEntry | None:
        """The owner's job; None when it is not known, or another's."""

    async def forget_before(self, cutoff: datetime) -> int:
        """Drop the entries of the jobs that ended before ``cutoff``; how many there were."""


class Approvals(Protocol):
    """What jobs ask before they are begun, and what was answered."""

    async def insert(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        """Write the approval's first entry; it, with its version, or None when there is one."""

    async def find(self, approval_id: str) -> ApprovalEntry | None: ...

    async def answer(self, entry: ApprovalEntry) -> ApprovalEntry | None:
        """Write over the entry that ``entry`` was made from, so that the first answer counts.

        None when that changed since.
        """

    async def forget_before(self, cutoff: datetime) -> int:
        """Drop the approvals that ended before ``cutoff``, or should have; how many there were."""


class ProactiveQueue(Protocol):
    """The queue of proactive messages, for those that must wait."""

    async def put(self, body: bytes, *, delay: timedelta) -> None:
        """Put a message on the queue, to be shown after ``delay`` (at most seven days)."""


class OrderService(Protocol):
    """The outside system of the example job: takes orders and delivers them after a while."""

    async def place(self, order_id: str, *, item: str, customer: Conversation) -> Order:
        """Place the order, once: the same ``order_id`` again gives the order that is there."""

    async def get(self, order_id: str) -> Order:
        """The order as it is now. Raises KeyError for an unknown one."""

    async def open_or_delivered_since(self, cutoff: datetime) -> list[Order]:
        """All orders that are open, or were delivered after ``cutoff``; none that was cancelled."""

    async def cancel(self, order_id: str) -> Order:
        """Cancel the order unless it is delivered; the order as it is then.

        Raises KeyError for an unknown one.
        """

    async def mark_delivered(self, order_id: str) -> None:
        """The goods have arrived, whatever the schedule said. Raises KeyError for an unknown one."""


class AnswererError(Exception):
    """There is no answer, or not all of it. Messages carry status and error code, never what was asked."""


class AnswererBusy(AnswererError):
    """It is busy, away or broke off: ask again after ``retry_after``, from the beginning."""

    def __init__(self, message: str, *, retry_after: timedelta) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class AnswererRefused(AnswererError):
    """It will not answer this question: do not ask it again."""


class AnswererUnusable(AnswererError):
    """Our settings of it are missing or wrong: no question is answered until they are mended."""


class Answerer(Protocol):
    """Who answers questions: a language model, or what stands in for one."""

    def answer(self, question: str, *, asked_by: Conversation) -> AsyncIterator[str | Citation]:
        """The answer's text in pieces, in their order, and its sources: the n-th is meant by [n] in the text.

        ``asked_by`` is for telling users apart; who they are is not passed on. Raises AnswererBusy,
        AnswererRefused (a blank question, too) or AnswererUnusable, before the first piece or after any.
        """


class Clock(Protocol):
    """Time, so that tests can step it."""

    def now(self) -> datetime:
        """The time, in UTC."""

    async def sleep(self, seconds: float) -> None: ...


class Storage(Protocol):
    """The queues and tables that the app itself must make."""

    async def make_missing(self) -> None:
        """Make the queues and tables that are not there; a queue trigger does not make its queue."""


class DeliveryOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How users are reached who have no conversation yet.

    ``service_url`` is used when no conversation of the user tells a better one. ``max_activity_bytes``: the
    largest activity the channel takes, in UTF-16. ``ambiguous_sends``: whether what may have arrived is sent
    again; None where that depends on whether a user waits for it.
    """

    route: Route
    service_url: str
    agent_id: str
    max_activity_bytes: int = 80_000
    ambiguous_sends: WhenAmbiguous | None = None


class Services(Protocol):
    """All ports, plugged; what ``composition.services()`` gives."""

    @property
    def clock(self) -> Clock: ...
    @property
    def connector(self) -> Connector: ...
    @property
    def troubles(self) -> "Troubles": ...
    @property
    def doors(self) -> TenantDoors: ...
    @property
    def bot_runner(self) -> BotRunner: ...
    @property
    def token_validator(self) -> TokenValidator: ...
    @property
    def conversations(self) -> ConversationStore: ...
    @property
    def turn_claims(self) -> TurnClaims: ...
    @property
    def ledger(self) -> DeliveryLedger: ...
    @property
    def job_reports(self) -> JobReports: ...
    @property
    def callbacks(self) -> Callbacks: ...
    @property
    def job_board(self) -> JobBoard: ...
    @property
    def approvals(self) -> Approvals: ...
    @property
    def proactive_queue(self) -> ProactiveQueue: ...
    @property
    def orders(self) -> OrderService: ...
    @property
    def answerer(self) -> Answerer: ...
    @property
    def storage(self) -> Storage: ...
    @property
    def delivery_options(self) -> DeliveryOptions: ...
    @property
    def turn_budget(self) -> timedelta:
        """How long a turn may take until its user is told something, from the activity's timestamp on."""

    @property
    def retention(self) -> timedelta:
        """How long what has ended is kept: orchestrations, turn claims, deliveries, jobs."""

    @property
    def licence_approver(self) -> str:
        """The Entra object id of who approves licences, of the example; "": who asks for one confirms it."""
