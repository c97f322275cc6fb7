"""The Bot Connector REST API v3: what a request asks for, and what Teams would answer."""

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from testconnector.answers import Answer, error_answer, json_answer, named_error
from testconnector.conversations import Conversation, Conversations, page, tenant_of
from testconnector.limits import RateLimiter
from testconnector.options import Options
from testconnector.order import OrderWatch
from testconnector.recording import Call
from testconnector.streams import Streams, stream_info

API = "/v3/conversations"
_OPERATIONS = {
    ("POST", "activities", 2): "send",
    ("POST", "activities", 3): "reply",
    ("PUT", "activities", 3): "update",
    ("DELETE", "activities", 3): "delete",
    ("GET", "members", 2): "members",
    ("GET", "members", 3): "member",
    ("GET", "pagedmembers", 2): "pagedmembers",
}
_READS = frozenset({"members", "member", "pagedmembers"})
_WITH_BODY = frozenset({"create", "send", "reply", "update"})


def parts_of(path: str) -> list[str]:
    """What follows /v3/conversations, taken apart at its slashes and unquoted."""
    rest = path[path.index(API) + len(API) :].partition("?")[0].strip("/")
    return [unquote(part) for part in rest.split("/")] if rest else []


def operation_of(method: str, parts: list[str]) -> str:
    if not parts:
        return "create" if method == "POST" else "unknown"
    if len(parts) < 2:
        return "unknown"
    return _OPERATIONS.get((method, parts[1], len(parts)), "unknown")


class RestApi:
    """Answers, and keeps what was accepted."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._clock = options.clock
        self.conversations = Conversations(most=options.most_conversations, only_known=options.only_known)
        self.streams = Streams(
            most=options.most_conversations, pace=options.stream_pace, longest=options.stream_longest
        )
        self.order = OrderWatch(most=options.most_conversations, pattern=options.sequence)
        self.limiter = (
            RateLimiter(options.limits, most_threads=options.most_conversations) if options.limits else None
        )

    def answer(self, call: Call, parts: list[str], raw: bytes) -> Answer:
        """Let one request take effect, or refuse it; ``call`` says afterwards whether it was accepted."""
        refusal = self._refusal(call, raw)
        if refusal is not None:
            return refusal
        if call.operation == "create":
            return self._create(call)
        conversation = self.conversations.find(call.conversation_id)
        if conversation is None:
            return named_error("ConversationNotFound")
        if call.operation in _READS:
            return _read(call, parts, conversation)
        return (
            self._send(call, conversation)
            if call.operation in ("send", "reply")
            else _change(call, parts[2], conversation)
        )

    def _refusal(self, call: Call, raw: bytes) -> Answer | None:
        wanted = self._options.require_token
        if wanted is not None and not (call.authorization or "").startswith(f"Bearer {wanted}"):
            return named_error("Unauthorized")
        if call.operation == "unknown":
            return error_answer(404, "NotFound", "The connector has nothing there.")
        if call.operation in _WITH_BODY and not isinstance(call.body, dict):
            return named_error("BadSyntax", "The body is no JSON object.")
        return self._over_limit(call, raw) if self.limiter else None

    def _over_limit(self, call: Call, raw: bytes) -> Answer | None:
        assert self.limiter
        if call.operation in _WITH_BODY and (too_large := self.limiter.too_large(raw)):
            return too_large
        is_new = call.operation == "create"
        known = None if is_new else self.conversations.find(call.conversation_id)
        return self.limiter.refusal(
            thread_id=self.conversations.thread_of_new(call.body) if is_new else call.conversation_id,
            tenant_id=tenant_of(call.body) if is_new else known.tenant_id if known else "",
            is_read=call.operation in _READS,
            in_thread=call.operation not in ("update", "delete"),
            now=self._clock(),
        )

    def _create(self, call: Call) -> Answer:
        answer, conversation_id, first_id = self.conversations.create(call.body)
        if conversation_id is not None:
            call.accepted, call.conversation_id, call.activity_id = True, conversation_id, first_id
            first = call.body.get("activity")
            if isinstance(first, dict):
                self.order.see(conversation_id, first, call.number)
        return answer

    def _send(self, call: Call, conversation: Conversation) -> Answer:
        info = stream_info(call.body)
        if info is None:
            activity_id = self.conversations.next_activity_id()
            call.accepted, call.activity_id = True, activity_id
            conversation.accepted += 1
            self.order.see(call.conversation_id, call.body, call.number)
            return Answer(201, b'{"id":"%s"}' % activity_id.encode())
        answer, taken_id = self.streams.take(
            call.body,
            info,
            conversation_id=call.conversation_id,
            is_personal=conversation.kind == "personal",
            now=self._clock(),
            next_id=self.conversations.next_activity_id,
        )
        call.accepted, call.activity_id = taken_id is not None, taken_id
        conversation.accepted += call.accepted
        if call.accepted and call.body.get("type") == "message":
            self.order.see(call.conversation_id, call.body, call.number)
        return answer


def body_of(raw: bytes) -> Any:
    """The JSON of a body; None if it is none."""
    try:
        return json.loads(raw) if raw else None
    except (ValueError, RecursionError):
        return None


def _change(call: Call, activity_id: str, conversation: Conversation) -> Answer:
    if activity_id in conversation.deleted:
        return named_error("ActivityNotFoundInConversation")
    call.accepted, call.activity_id = True, activity_id
    if call.operation == "delete":
        conversation.deleted.append(activity_id)
        return Answer(200)
    return json_answer(200, {"id": activity_id})


def _read(call: Call, parts: list[str], conversation: Conversation) -> Answer:
    call.accepted = True
    if call.operation == "members":
        return json_answer(200, conversation.members)
    if call.operation == "member":
        for one in conversation.members:
            if parts[2] in (one.get("id"), one.get("aadObjectId")):
                return json_answer(200, one)
        return error_answer(404, "MemberNotFoundInConversation", "No such member.")
    query = {name: values[0] for name, values in parse_qs(call.path.partition("?")[2]).items()}
    return page(conversation, size=query.get("pageSize"), token=query.get("continuationToken"))
