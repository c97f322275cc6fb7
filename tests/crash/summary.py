"""A crash run in a few lines."""

from collections import Counter
from statistics import median

from tests.crash.evidence import Evidence


def summary(evidence: Evidence) -> str:
    """What was started, what the kills hit, and what ran more than once for it."""
    kinds = Counter(planned.kind for planned in evidence.started)
    statuses = Counter(one.status for one in evidence.found if one.parent_id is None)
    children = sum(one.parent_id is not None for one in evidence.found)
    loads = [kill.load for kill in evidence.kills]
    early = sum(not kill.was_up for kill in evidence.kills)
    hits = sum(kill.hit_work for kill in evidence.kills)
    least = sum(count for planned in evidence.started for count in planned.notes.values())
    runs = sum(count for key, count in evidence.notes.items() if key != "child")
    taken_again = sum(count - 1 for count in evidence.messages.values())
    in_activities = sum(load.activities > 0 for load in loads)

    def usual(name: str) -> float:
        return float(median([getattr(load, name) for load in loads] or [0]))

    return "\n".join(
        [
            f"{len(evidence.started)} instances ({_listed(kinds)}) and {children} sub-orchestrations;"
            f" ended: {_listed(statuses)}",
            f"{len(evidence.kills)} kills, {hits} on unfinished work, {early} before the host answered,"
            f" {in_activities} with activities under way; a kill found (median) {usual('unfinished'):.0f}"
            f" unfinished instances, {usual('activities'):.0f} activities, {usual('timers'):.0f} timers,"
            f" {usual('messages'):.0f} messages",
            f"{runs} runs of activities where {least} were due without kills;"
            f" {len(evidence.messages)} queue messages, taken again {taken_again} times",
            f"{len(evidence.totals)} counters; the hub's file: {evidence.integrity},"
            f" {len(evidence.orphans)} orphans",
        ]
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())
