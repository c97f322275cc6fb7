"""Did numbered messages come in their order, each once? A number is ``#7`` in a text, or channel data."""

import re
from collections import OrderedDict, deque
from typing import Any

SEQUENCE_FIELD = "x-test-sequence"  # of channelData
MOST_SHOWN = 1000
MOST_MISSING = 100
LONGEST_NUMBER = 18  # digits; what is longer is no count of messages
USUAL_PATTERN = r"#(\d+)"


def number_in(outgoing: dict[str, Any], pattern: re.Pattern[str]) -> int | None:
    """The number of a sent activity, if it has one: that of its channel data before that of its text."""
    channel_data = outgoing.get("channelData")
    given = channel_data.get(SEQUENCE_FIELD) if isinstance(channel_data, dict) else None
    if isinstance(given, int):
        return given
    text = outgoing.get("text")
    found = pattern.search(text) if isinstance(text, str) else None
    return int(found[1]) if found and len(found[1]) <= LONGEST_NUMBER else None


class _Numbers:
    """The numbers that one conversation has seen: a run without gaps, and those outside of it."""

    def __init__(self, first: int) -> None:
        self.start = self.end = self.lowest = self.highest = first
        self.outside: set[int] = set()

    def has(self, number: int) -> bool:
        return self.start <= number <= self.end or number in self.outside

    def add(self, number: int) -> None:
        self.lowest, self.highest = min(self.lowest, number), max(self.highest, number)
        self.outside.add(number)
        while self.end + 1 in self.outside:
            self.end += 1
            self.outside.remove(self.end)
        while self.start - 1 in self.outside:
            self.start -= 1
            self.outside.remove(self.start)

    def missing(self) -> list[int]:
        gaps: list[int] = []
        for number in range(self.lowest, self.highest):
            if len(gaps) == MOST_MISSING:
                break
            if not self.has(number):
                gaps.append(number)
        return gaps


class OrderWatch:
    """Each conversation's numbers, for the ``most`` conversations that were last heard of.

    ``pattern``: how a number stands in a text; its first group is the number.
    """

    def __init__(self, *, most: int, pattern: str = USUAL_PATTERN) -> None:
        self._most = most
        self._pattern = re.compile(pattern)
        if self._pattern.groups < 1:
            raise ValueError(f"{pattern} has no group for the number")
        self.clear()

    def clear(self) -> None:
        self._numbers: OrderedDict[str, _Numbers] = OrderedDict()
        self.numbered = 0
        self.duplicates = 0
        self.out_of_order = 0
        self.violations: deque[dict[str, Any]] = deque(maxlen=MOST_SHOWN)

    def see(self, conversation_id: str, outgoing: dict[str, Any], call_number: int) -> None:
        """One accepted message."""
        number = number_in(outgoing, self._pattern)
        if number is None:
            return
        self.numbered += 1
        known = self._numbers.get(conversation_id)
        if known is None:
            if len(self._numbers) == self._most:
                self._numbers.popitem(last=False)
            self._numbers[conversation_id] = _Numbers(number)
            return
        self._numbers.move_to_end(conversation_id)
        kind = ""
        if known.has(number):
            kind = "duplicate"
            self.duplicates += 1
        elif number < known.highest:
            kind = "out of order"
            self.out_of_order += 1
        if kind:
            self.violations.append(
                {
                    "kind": kind,
                    "conversation": conversation_id,
                    "number": number,
                    "after": known.highest,
                    "call": call_number,
                }
            )
        if kind != "duplicate":
            known.add(number)

    def report(self) -> dict[str, Any]:
        """``missing``: numbers between the lowest and the highest that never came, of each conversation."""
        missing = {name: gaps for name, numbers in self._numbers.items() if (gaps := numbers.missing())}
        return {
            "numbered": self.numbered,
            "duplicates": self.duplicates,
            "outOfOrder": self.out_of_order,
            "violations": list(self.violations),
            "missing": missing,
        }
