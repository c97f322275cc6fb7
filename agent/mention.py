"""Mentions of people: written into what the agent says, and read in what it is told."""

import html
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

# Teams sets a space that does not break after a mention, in some clients as HTML.
TAG = re.compile(r"<at(?: [^<>]*)?>([^<>]*)</at>(?:&nbsp;)?", re.IGNORECASE)
# Of Markdown: headings, lists, quotes, code and tables are such only where a line begins with them.
BLOCK = re.compile(r" {0,3}(?:#{1,6}\s|[-+*]\s|\d+[.)]\s|>|```|~~~|\|)| {4}|\t")
NotEmpty = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Mention(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Who is mentioned: their id as the channel knows it (in Teams ``29:…``, or the Entra object id)."""

    user_id: NotEmpty
    name: NotEmpty

    @property
    def text(self) -> str:
        return f"<at>{html.escape(self.name, quote=False)}</at>"

    def put_before(self, outgoing: dict[str, Any]) -> dict[str, Any]:
        """The activity with the mention before its text; of a card without text it becomes the text.

        Teams documentation, "Channel and group chat conversations with a bot", section "Work with mentions".
        """
        text = outgoing.get("text") or ""
        apart = "\n\n" if BLOCK.match(text) else " "
        entity = {
            "type": "mention",
            "text": self.text,
            "mentioned": {"id": self.user_id, "name": self.name},
        }
        return {
            **outgoing,
            "text": f"{self.text}{apart}{text}" if text else self.text,
            "entities": [*outgoing.get("entities", ()), entity],
        }


def is_mention(entity: Any) -> bool:
    return isinstance(entity, dict) and entity.get("type") == "mention"


class _Mentioned(msgspec.Struct, frozen=True):
    mentioned_id: str = msgspec.field(name="id")
    name: str | None = None


class _Entity(msgspec.Struct, frozen=True):
    """A mention that came in. Teams leaves its ``text`` out where the name has an ampersand."""

    mentioned: _Mentioned
    text: str | None = None


def readable(text: str, entities: Iterable[Any], *, agent_id: str | None, agent_name: str | None) -> str:
    """The text without mentions of the agent; of other people it has the names.

    Whom a mention means is told by its entity. Where that is missing it is the agent that has this name; if
    its name is not known either, it is the one that is mentioned at the beginning, as users do.
    """
    mentioned = _mentioned(entities)

    def is_agent(tag: re.Match[str]) -> bool:
        name = _folded(tag[1])
        if meant := mentioned.get(name):
            # Two with one name come in the order of the text; one who is mentioned twice may come once.
            return (meant.pop(0) if len(meant) > 1 else meant[0]) == agent_id
        return name == _folded(agent_name) if agent_name else not text[: tag.start()].strip()

    return TAG.sub(lambda tag: "" if is_agent(tag) else html.unescape(tag[1]), text).strip()


def _mentioned(entities: Iterable[Any]) -> dict[str, list[str]]:
    """The ids of those who are mentioned, by the name that stands in the text."""
    mentioned: dict[str, list[str]] = defaultdict(list)
    for entity in filter(is_mention, entities):
        try:
            read = msgspec.convert(entity, _Entity)
        except msgspec.ValidationError:
            continue
        tag = TAG.search(read.text or "")
        name = tag[1] if tag else read.mentioned.name or ""
        mentioned[_folded(name)].append(read.mentioned.mentioned_id)
    return dict(mentioned)


def _folded(name: str) -> str:
    return " ".join(html.unescape(name).split()).casefold()
