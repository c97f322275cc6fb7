"""What comes in from the channel: the fields of an incoming channel activity that we decide by."""

import hashlib
import re
from typing import Annotated, Any

import msgspec

from agent.json_depth import DEEPEST, is_nested_deeper
from agent.mention import readable

COPILOT = "copilot"
CHANNEL = "channel"  # Teams' conversationType of a channel of a team
THREAD = ";messageid="  # in a conversation's id in Teams: what follows is the first post of the thread
POST_ID = re.compile(r"[0-9]{1,20}")
GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# To the end, but for the place: what is quoted may hold quotes itself.
QUOTED_DATA = re.compile(
    r"(unknown field|[Ii]nvalid (?:enum )?value) .*?(?=(?: - at `\$[\w.\[\]]*`)?\Z)", re.DOTALL
)
# What a user asks for is said in few words; a message may have 100 KB.
LONGEST_REQUEST = 1000  # characters
# Teams' activities have 100 KB in UTF-16 at most; a card's data may double that in JSON's escapes.
LARGEST_TURN = 256 * 1024  # bytes
# What tells of a changed message has that message's id, each time it changes.
CHANGES = frozenset({"messageUpdate", "messageDelete"})
# There a client writes its activities itself, and may put anybody's Entra ids into them (Bot Service
# documentation, "Direct Line enhanced authentication", "Impersonation").
WRITTEN_BY_CLIENTS = frozenset({"directline", "directlinespeech", "webchat"})
NotEmpty = Annotated[str, msgspec.Meta(min_length=1)]


class BadTurn(Exception):
    """The body of a turn is not a channel activity; the message says why. Answer 400 and forget it."""


class Account(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user or the agent itself, as the channel names it."""

    account_id: str = msgspec.field(name="id")
    name: str | None = None
    aad_object_id: str | None = None

    def __post_init__(self) -> None:
        if self.aad_object_id:
            msgspec.structs.force_setattr(self, "aad_object_id", entra_id(self.aad_object_id))


class ConversationAccount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The conversation an activity belongs to; Teams puts the thread into the id (THREAD)."""

    conversation_id: NotEmpty = msgspec.field(name="id")
    conversation_type: str | None = None
    tenant_id: str | None = None

    def __post_init__(self) -> None:
        if self.tenant_id:
            msgspec.structs.force_setattr(self, "tenant_id", entra_id(self.tenant_id))


class IncomingActivity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One incoming channel activity: the fields we decide by, typed (Bot Framework activity schema)."""

    type: NotEmpty
    channel_id: NotEmpty
    service_url: NotEmpty
    conversation: ConversationAccount
    sender: Account = msgspec.field(name="from")
    recipient: Account | None = None
    incoming_id: str | None = msgspec.field(name="id", default=None)
    reply_to_id: str | None = None
    text: str | None = None
    value: Any = None
    locale: str | None = None
    timestamp: Any = None
    delivery_mode: str | None = None
    channel_data: Any = None
    entities: list[Any] | None = None
    turn_key: str = ""

    @property
    def tenant_id(self) -> str | None:
        """The Entra tenant, from the conversation or from Teams' channel data."""
        if self.channel_id in WRITTEN_BY_CLIENTS:
            return None
        if self.conversation.tenant_id:
            return self.conversation.tenant_id
        tenant = self.channel_data.get("tenant") if isinstance(self.channel_data, dict) else None
        tenant_id = tenant.get("id") if isinstance(tenant, dict) else None
        return entra_id(tenant_id) if isinstance(tenant_id, str) else None

    @property
    def tenants(self) -> frozenset[str]:
        """All tenants that the activity tells, in lower case: one, unless it contradicts itself."""
        if self.channel_id in WRITTEN_BY_CLIENTS:
            return frozenset()
        data = self.channel_data if isinstance(self.channel_data, dict) else {}
        tenant = data.get("tenant")
        told = (self.conversation.tenant_id, tenant.get("id") if isinstance(tenant, dict) else None)
        return frozenset(one.lower() for one in told if isinstance(one, str) and one)

    @property
    def aad_object_id(self) -> str | None:
        """The Entra user who sent it, where the channel knows who that is."""
        return None if self.channel_id in WRITTEN_BY_CLIENTS else self.sender.aad_object_id

    @property
    def words(self) -> str:
        """What the user said, its first LONGEST_REQUEST characters, without mentions of the agent."""
        return readable(
            (self.text or "")[:LONGEST_REQUEST],
            self.entities or (),
            agent_id=self.recipient.account_id if self.recipient else None,
            agent_name=self.recipient.name if self.recipient else None,
        )

    @property
    def is_from_copilot(self) -> bool:
        """Whether the turn was taken in Microsoft 365 Copilot; the product's name comes in either case."""
        data = self.channel_data if isinstance(self.channel_data, dict) else {}
        named = [data.get("productContext")]
        named += [
            entity.get("id")
            for entity in self.entities or []
            if isinstance(entity, dict) and str(entity.get("type", "")).lower() == "productinfo"
        ]
        return any(isinstance(name, str) and name.lower() == COPILOT for name in named)


def parse_incoming(body: bytes) -> tuple[dict[str, Any], IncomingActivity]:
    """The turn's activity as it came and as we read it; a post in a Teams channel is in its thread.

    Raises BadTurn when the body is not JSON or lacks what a reply needs.
    """
    if is_nested_deeper(body):
        raise BadTurn(f"The body is not a channel activity: nested deeper than {DEEPEST} levels")
    try:
        raw = msgspec.json.decode(body)
        incoming = msgspec.convert(raw, IncomingActivity)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadTurn(f"The body is not a channel activity: {unquoted(error)}") from None
    if root_id := _untold_thread(incoming):
        raw["conversation"]["id"] += f"{THREAD}{root_id}"
        incoming = msgspec.convert(raw, IncomingActivity)
    return raw, msgspec.structs.replace(incoming, turn_key=_turn_key(incoming, body))


def _untold_thread(incoming: IncomingActivity) -> str | None:
    """The first post of the thread in a Teams channel, where the conversation's id does not tell it.

    What is sent to the channel's own id begins another thread. Only an id of Teams' own form will do.
    """
    conversation = incoming.conversation
    is_post = incoming.type == "message" and incoming.value is None  # a button's replyToId is its card's
    is_in_channel = incoming.channel_id == "msteams" and conversation.conversation_type == CHANNEL
    if not (is_post and is_in_channel) or THREAD in conversation.conversation_id:
        return None
    root_id = incoming.reply_to_id or incoming.incoming_id or ""
    return root_id if POST_ID.fullmatch(root_id) else None


def _turn_key(incoming: IncomingActivity, body: bytes) -> str:
    """The same for each delivery of one activity. Where it has no id of its own, its body stands for it."""
    own_id = None if incoming.type in CHANGES else incoming.incoming_id
    what = own_id or hashlib.sha256(body).hexdigest()
    return derived_key(incoming.channel_id, incoming.conversation.conversation_id, what)


def unquoted(error: Exception) -> str:
    """What msgspec found wrong, without what it quotes of the data: errors are logged, user text is not."""
    return QUOTED_DATA.sub(r"\1", str(error))


def entra_id(told: str) -> str:
    """A tenant's or a user's id as we keep and compare it: a GUID in lower case; what is none as it came."""
    return told.lower() if GUID.fullmatch(told) else told


def derived_key(*parts: str) -> str:
    """A key of 32 hex digits that is the same wherever it is derived from the same parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
