"""The conversations and who is in them, with ids as Teams gives them."""

import base64
import hashlib
import re
import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any

from testconnector.answers import Answer, json_answer, named_error

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
SMALLEST_PAGE, USUAL_PAGE, LARGEST_PAGE = 50, 200, 500


@dataclass(slots=True)
class Conversation:
    """``accepted``: how many activities it took; ``deleted``: the last of those taken back."""

    conversation_id: str
    kind: str  # personal, channel or groupChat
    tenant_id: str = ""
    members: list[dict[str, Any]] = field(default_factory=list)
    deleted: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    accepted: int = 0


def user_id_of(object_id: str) -> str:
    """The ``29:`` id by which a bot knows a user; always the same one for a user."""
    return f"29:1{_scrambled(object_id.lower())}"


def member(object_id: str, *, tenant_id: str, name: str = "Alex Wilber") -> dict[str, Any]:
    """A member as the roster shows one."""
    given, _, surname = name.partition(" ")
    return {
        "id": user_id_of(object_id),
        "name": name,
        "objectId": object_id,
        "aadObjectId": object_id,
        "givenName": given,
        "surname": surname,
        "tenantId": tenant_id,
        "userRole": "user",
    }


def _scrambled(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha512(text.encode()).digest()).decode().rstrip("=")


def _kind_of(conversation_id: str) -> str:
    if "@thread.tacv2" in conversation_id or "@thread.skype" in conversation_id:
        return "channel"
    if conversation_id.startswith("19:"):
        return "groupChat"
    return "personal"


def tenant_of(parameters: dict[str, Any]) -> str:
    """The tenant that the parameters of a conversation name, in either of its two places."""
    channel_data = parameters.get("channelData")
    tenant = channel_data.get("tenant") if isinstance(channel_data, dict) else None
    nested = tenant.get("id") if isinstance(tenant, dict) else None
    return str(parameters.get("tenantId") or nested or "")


class Conversations:
    """The ``most`` conversations that were last used. One that is not known is taken in at its first use,
    for a bot may know it of elsewhere; with ``only_known`` it is not found."""

    def __init__(self, *, most: int, only_known: bool = False) -> None:
        self._most = most
        self._only_known = only_known
        self._kept: OrderedDict[str, Conversation] = OrderedDict()
        self._last_id = int(time.time() * 1000)

    def __iter__(self) -> Any:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)

    def next_activity_id(self) -> str:
        """Milliseconds, as Teams counts its activities; each once."""
        self._last_id += 1
        return str(self._last_id)

    def add(
        self, conversation_id: str, *, tenant_id: str = "", members: list[dict[str, Any]] | None = None
    ) -> Conversation:
        """Make a conversation known; one that is known keeps what is not given."""
        known = self._kept.get(conversation_id)
        if known is None:
            if len(self._kept) >= self._most:
                self._kept.popitem(last=False)
            known = Conversation(conversation_id, _kind_of(conversation_id))
            self._kept[conversation_id] = known
        known.tenant_id = tenant_id or known.tenant_id
        if members is not None:
            known.members = members
        return known

    def forget(self, conversation_id: str) -> None:
        self._kept.pop(conversation_id, None)

    def find(self, conversation_id: str) -> Conversation | None:
        known = self._kept.get(conversation_id)
        if known is not None:
            self._kept.move_to_end(conversation_id)
            return known
        return None if self._only_known else self.add(conversation_id)

    def thread_of_new(self, parameters: dict[str, Any]) -> str:
        """Which thread a creation counts for: the personal conversation, or the channel."""
        return _channel_id(parameters) or _personal_id(parameters) or ""

    def create(self, parameters: dict[str, Any]) -> tuple[Answer, str | None, str | None]:
        """The answer to a creation, the conversation's id and that of its first activity."""
        channel_id = _channel_id(parameters)
        if channel_id:
            return self._create_thread(parameters, channel_id)
        if parameters.get("isGroup"):
            return named_error("BadSyntax", "A bot cannot create a group chat."), None, None
        conversation_id = _personal_id(parameters)
        if conversation_id is None:
            return named_error("BadSyntax", "One member is needed, by its id."), None, None
        tenant_id = tenant_of(parameters)
        if conversation_id not in self._kept:
            object_id = str(parameters["members"][0]["id"])
            roster = member(object_id, tenant_id=tenant_id) if _GUID.fullmatch(object_id) else None
            self.add(
                conversation_id,
                tenant_id=tenant_id,
                members=[roster or {"id": object_id, "userRole": "user"}],
            )
        first_id = self.next_activity_id() if parameters.get("activity") else None
        # The first activity is sent, and its id is not told.
        return json_answer(201, {"id": conversation_id}), conversation_id, first_id

    def _create_thread(
        self, parameters: dict[str, Any], channel_id: str
    ) -> tuple[Answer, str | None, str | None]:
        if not isinstance(parameters.get("activity"), dict):
            return named_error("BadSyntax", "A thread in a channel needs its first activity."), None, None
        activity_id = self.next_activity_id()
        conversation_id = f"{channel_id};messageid={activity_id}"
        self.add(conversation_id, tenant_id=tenant_of(parameters))
        told = {"id": conversation_id, "activityId": activity_id}
        return json_answer(201, told), conversation_id, activity_id


def _channel_id(parameters: dict[str, Any]) -> str | None:
    channel_data = parameters.get("channelData")
    channel = channel_data.get("channel") if isinstance(channel_data, dict) else None
    channel_id = channel.get("id") if isinstance(channel, dict) else None
    return channel_id if isinstance(channel_id, str) and channel_id else None


def _personal_id(parameters: dict[str, Any]) -> str | None:
    """The one id of the conversation with one member in one tenant, in Teams or in Copilot."""
    members = parameters.get("members")
    if not isinstance(members, list) or len(members) != 1 or not isinstance(members[0], dict):
        return None
    member_id = members[0].get("id")
    if not isinstance(member_id, str) or not member_id:
        return None
    if member_id.startswith("29:") and _GUID.fullmatch(member_id[3:]):
        return None  # neither of the two ids that a user has
    user_id = user_id_of(member_id) if _GUID.fullmatch(member_id) else member_id
    channel_data = parameters.get("channelData")
    product = channel_data.get("productContext", "") if isinstance(channel_data, dict) else ""
    return f"a:1{_scrambled(f'{user_id}|{tenant_of(parameters)}|{str(product).lower()}')}"


def page(conversation: Conversation, *, size: str | None, token: str | None) -> Answer:
    """One page of the members. Chats are answered whole, whatever size was asked for."""
    if conversation.kind != "channel":
        return json_answer(200, {"members": conversation.members})
    try:
        wanted = min(max(int(size or USUAL_PAGE), SMALLEST_PAGE), LARGEST_PAGE)
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError:
        return named_error("BadArgument", "pageSize or continuationToken is not valid.")
    shown: dict[str, Any] = {"members": conversation.members[start : start + wanted]}
    if start + wanted < len(conversation.members):
        shown["continuationToken"] = base64.urlsafe_b64encode(str(start + wanted).encode()).decode()
    return json_answer(200, shown)
