"""What happened in a conversation, printed with times, and with what a reader would make of it."""

import time
from collections.abc import Awaitable, Callable
from textwrap import wrap

from local.playground_driver import JsonObject, NotShownError, Shown

WIDTH = 90


class Transcript:
    """Prints what happens, with the seconds since the stack was ready, and notes what did not."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self.missing: list[str] = []

    def line(self, who: str, text: str, *, at: float | None = None) -> None:
        seconds = (time.monotonic() if at is None else at) - self._start
        first, *others = [part for line in text.splitlines() for part in wrap(line, WIDTH)]
        print(f"{seconds:6.1f} s  {who:<9} {first}")
        for other in others:
            print(f"{'':19} {other}")

    async def begin(self, who: str, what: str, act: Callable[[], Awaitable[None]]) -> float:
        """Print what somebody does and have it done; the time at which it was begun comes back."""
        begun = time.monotonic()
        self.line(who, what, at=begun)
        await act()
        return begun

    async def answer(self, what: str, waiting: Awaitable[Shown], *, asked: float) -> Shown | None:
        """Wait for ``what`` and print it with the time since ``asked``; None where it did not come."""
        try:
            shown = await waiting
        except NotShownError as error:
            self.missing.append(what)
            self.line("!", f"MISSING: {what}: {error}")
            return None
        took = shown.at - asked
        told = f"{took * 1000:.0f} ms" if took < 1 else f"{took:.1f} s"
        place = ", in place" if shown.is_update else ""
        self.line("Afterword", f"{readable(shown.content)}\n<- {what}{place}, {told}", at=shown.at)
        return shown


def readable(message: JsonObject) -> str:
    """A message as a reader would tell it: its text, then what its cards say."""
    said = [message["text"]] if message.get("text") else []
    cards = [attachment.get("content") for attachment in message.get("attachments") or []]
    said.extend(f"[card] {' | '.join(_words(card))}" for card in cards)
    said.extend(_said_of(message.get("aiEntity") or {}))
    return "\n".join(said) or "(nothing to read)"


def _said_of(entity: JsonObject) -> list[str]:
    """What a message says of itself: that it was generated, and from what."""
    generated = ["[AI-generated]"] if "AIGeneratedContent" in entity.get("additionalType", []) else []
    sources = [
        f"[{claim['position']}] {claim['appearance']['name']}" for claim in entity.get("citation") or []
    ]
    return [" ".join([*generated, *sources])] if generated or sources else []


def _words(part: object) -> list[str]:
    if isinstance(part, list):
        return [word for item in part for word in _words(item)]
    if not isinstance(part, dict):
        return []
    if part.get("type") == "FactSet":
        return [f"{fact['title']}: {fact['value']}" for fact in part["facts"]]
    if str(part.get("type")).startswith("Action."):
        return [f"({part['title']})"]
    own = [str(part["text"])] if "text" in part else []
    return own + [word for value in part.values() for word in _words(value)]
