"""The messages that arrived at the stub, and when: told of each by its path alone."""

from urllib.parse import unquote

import msgspec


class Arrival(msgspec.Struct, frozen=True):
    """One message. ``at``: monotonic, which all processes of a machine share; ``is_reply``: to a turn."""

    at: float
    conversation_id: str
    is_reply: bool


def arrival_of(at: float, path: str) -> Arrival:
    """Of ``.../v3/conversations/{conversation}/activities``, with ``/{activity}`` behind it for a reply."""
    conversation, _, reply_to_id = path.partition("/v3/conversations/")[2].partition("/activities")
    return Arrival(at, unquote(conversation), is_reply=len(reply_to_id) > 1)
