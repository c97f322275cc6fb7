"""The rules of streaming, held to each stream that no kill came into."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.soak.record import Part, SoakRecord

SHORTEST_GAP, LONGEST_GAP = 1.0, 40.0  # seconds between two parts of an open stream
STREAM_LASTS = 120.0
# A send that a kill cut off is made again by the process that takes over, later than it would have been.
SETTLES = 30.0


def broken_streams(record: SoakRecord) -> list[str]:
    """Each rule of streaming that was broken, but by a process that was killed."""
    streams: dict[str, list[Part]] = defaultdict(list)
    for part in record.parts:
        streams[part.stream_id].append(part)
    return [
        f"stream {stream_id or '(none)'} of n{parts[0].number}: {broken}"
        for stream_id, parts in streams.items()
        for broken in _broken(sorted(parts, key=lambda part: part.at), record)
    ]


def undisturbed(record: SoakRecord) -> int:
    """How many streams no kill came into: with none the rules were not tried."""
    spans: dict[str, list[float]] = defaultdict(list)
    for part in record.parts:
        spans[part.stream_id].append(part.at)
    return sum(not _kill_within(min(span), max(span), record) for span in spans.values())


def _broken(parts: list[Part], record: SoakRecord) -> Iterator[str]:
    first, last = parts[0], parts[-1]
    for before, part in zip([first, *parts], parts, strict=False):
        if not part.was_taken and not _kill_within(first.at, part.at, record):
            told = f"a part of the type {part.stream_type} was refused"
            yield f"{told}, {part.at - before.at:.2f} s after the one before: {part.answer}"
    taken = [part for part in parts if part.was_taken]
    for before, after in pairwise(taken):
        gap = after.at - before.at
        if gap < SHORTEST_GAP and not _kill_within(before.at, after.at, record):
            yield f"two parts came {gap:.2f} s after each other"
        if gap > LONGEST_GAP and not _kill_within(before.at, after.at, record):
            yield f"nothing came for {gap:.1f} s"
    has_final = any(part.stream_type == "final" for part in taken)
    if _kill_within(first.at, last.at + SETTLES, record) or first.number in _cut_turns(record):
        return  # a turn that was cut off may have begun a stream of which nobody knows
    if not has_final:
        yield "it was never closed"
    elif last.at - first.at > STREAM_LASTS:
        yield f"it lasted {last.at - first.at:.1f} s"


def _cut_turns(record: SoakRecord) -> set[int]:
    return {turn.number for turn in record.turns if any(delivery.was_cut for delivery in turn.deliveries)}


def _kill_within(start: float, end: float, record: SoakRecord) -> bool:
    """Whether the process that holds streams was killed then, or was not replaced yet."""
    return any(start <= kill.up_at and kill.at <= end for kill in record.kills if kill.ran_the_hub)
