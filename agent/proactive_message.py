"""What crosses the queue: one message that no user asked for just now, and whom it is for."""

import base64
import binascii
from datetime import datetime, timedelta
from typing import Annotated, Any

import msgspec

from agent.answer import MOST_CITATIONS, Answer, Citation
from agent.incoming import entra_id, unquoted
from agent.json_depth import DEEPEST, is_nested_deeper
from agent.mention import Mention

DeliveryId = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9._:-]{1,128}$",
        description="Given by the sender. A message with an id that was sent is not sent again.",
    ),
]
NotEmpty = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
LONGEST_WAITING = timedelta(days=3)
Utc = Annotated[datetime, msgspec.Meta(tz=True)]


class UnusableMessage(Exception):
    """The body is not a proactive message, and never will be; the message says why, without user text."""


class ToUser(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag="user",
    tag_field="kind",
    rename="camel",
    forbid_unknown_fields=True,
):
    """A user, by tenant and Entra object id; the conversation is created where there is none yet."""

    tenant_id: NotEmpty
    aad_object_id: NotEmpty

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "tenant_id", entra_id(self.tenant_id))
        msgspec.structs.force_setattr(self, "aad_object_id", entra_id(self.aad_object_id))


class ToConversation(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag="conversation",
    tag_field="kind",
    rename="camel",
    forbid_unknown_fields=True,
):
    """A conversation in which the agent was heard, or that it created."""

    channel_id: NotEmpty
    conversation_id: NotEmpty


class ToChannel(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag="channel",
    tag_field="kind",
    rename="camel",
    forbid_unknown_fields=True,
):
    """A channel of a team in Teams, in which a new thread begins; the app must be in the team."""

    tenant_id: NotEmpty
    teams_channel_id: NotEmpty

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "tenant_id", entra_id(self.tenant_id))


# Defaults are omitted, so that what is put back, or kept in a column, is hardly larger than it came: 64 KiB.
class ProactiveMessage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """One message that no user asked for just now, and whom it is for.

    ``text`` or ``card`` (an Adaptive Card) or both; ``mention`` calls a member of the conversation.
    After ``expires_at``, or when it has waited for a busy channel for LONGEST_WAITING, it is not delivered
    any more.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    delivery_id: DeliveryId
    to: ToUser | ToConversation | ToChannel
    text: str = ""
    card: dict[str, Any] | None = None
    citations: Annotated[
        tuple[Citation, ...],
        msgspec.Meta(
            max_length=MOST_CITATIONS,
            description="The sources of the text, which refers to them as [1], [2] and so on.",
        ),
    ] = ()
    is_generated: Annotated[
        bool, msgspec.Meta(description="A language model made it: the channel shows that it may be wrong.")
    ] = False
    mention: Mention | None = None
    expires_at: Utc | None = None
    waits: Annotated[
        int, msgspec.Meta(ge=0, description="How often it was put back for a busy channel; not for senders.")
    ] = 0
    waiting_since: Annotated[
        Utc | None, msgspec.Meta(description="When it was first put back; not for senders.")
    ] = None

    def __post_init__(self) -> None:
        if self.delivery_id.endswith("\n"):  # which the pattern's $ lets pass in Python
            raise ValueError("deliveryId must not end in a line feed")
        if not self.text and not self.card:
            raise ValueError("text or card must be given")
        if self.citations and not self.text:
            raise ValueError("citations need a text, which refers to them")

    @property
    def answer(self) -> Answer:
        return Answer(self.text, self.card, self.citations, self.is_generated)

    def to_activity(self) -> dict[str, Any]:
        """The message as a message activity, ready to be posted."""
        outgoing = self.answer.to_activity()
        return self.mention.put_before(outgoing) if self.mention else outgoing

    def is_expired(self, now: datetime) -> bool:
        """Whether it is too late to deliver it: by its sender's word, or since it has waited for too long."""
        has_waited = self.waiting_since is not None and now - self.waiting_since >= LONGEST_WAITING
        return has_waited or (self.expires_at is not None and self.expires_at <= now)


def parse_proactive_message(body: bytes) -> ProactiveMessage:
    """Read a queue message's body: JSON, or base64 of JSON, as many senders encode it.

    Raises UnusableMessage.
    """
    text = _without_base64(body)
    if is_nested_deeper(text):
        raise UnusableMessage(f"The body is not a proactive message: nested deeper than {DEEPEST} levels")
    try:
        return msgspec.json.decode(text, type=ProactiveMessage)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise UnusableMessage(f"The body is not a proactive message: {unquoted(error)}") from None


def _without_base64(body: bytes) -> bytes:
    if body.lstrip()[:1] == b"{":
        return body
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        return body


def message_schema() -> dict[str, Any]:
    """The JSON Schema of a proactive message; docs/proactive-message.schema.json is made from it."""
    schema = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(ProactiveMessage)))  # no tuples
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "ProactiveMessage",
        **schema,
    }
