"""What must hold after a crash run."""

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.crash.evidence import ENDED, Evidence, Found
from tests.crash.plan import PlannedInstance


def broken_promises(evidence: Evidence) -> list[str]:
    """Each promise that the evidence shows broken; empty when all is well."""
    return [
        *_kills(evidence),
        *_roots(evidence),
        *_children(evidence),
        *_activities(evidence),
        *_entities(evidence),
        *_queue(evidence),
        *_hub(evidence),
        *_processes(evidence),
    ]


def _kills(evidence: Evidence) -> Iterator[str]:
    hits = sum(kill.hit_work for kill in evidence.kills)
    if hits < evidence.kills_wanted:
        yield f"only {hits} of {evidence.kills_wanted} kills fell on running work"


def _roots(evidence: Evidence) -> Iterator[str]:
    found = {one.instance_id: one for one in evidence.found if one.parent_id is None}
    for planned in evidence.started:
        instance = found.get(planned.instance_id)
        if instance is None:
            yield f"{planned.instance_id} is lost"
        else:
            yield from _ending(planned, instance)
    for unknown in sorted(found.keys() - {planned.instance_id for planned in evidence.started}):
        yield f"{unknown} was never started by a client"


def _ending(planned: PlannedInstance, found: Found) -> Iterator[str]:
    if found.status not in ENDED:
        yield f"{planned.instance_id} is stuck: {found.status}"
    elif found.status != planned.status:
        yield f"{planned.instance_id} ended as {found.status}, not {planned.status}: {found.output}"
    elif found.name != planned.orchestrator:
        yield f"{planned.instance_id} is a {found.name}, not a {planned.orchestrator}"
    elif planned.status == "Failed":
        if not str(found.output).startswith(planned.output):
            yield f"{planned.instance_id} failed with {found.output!r}"
    elif found.output != planned.output:
        yield f"{planned.instance_id} returned {found.output!r}, not {planned.output!r}"


def _children(evidence: Evidence) -> Iterator[str]:
    children: dict[str, list[Found]] = defaultdict(list)
    for one in evidence.found:
        if one.parent_id is not None:
            children[one.parent_id].append(one)
    for planned in evidence.started:
        mine = children.pop(planned.instance_id, [])
        if len(mine) != planned.children:
            yield f"{planned.instance_id} has {len(mine)} sub-orchestrations, not {planned.children}"
        for child in mine:
            if child.status != "Completed":
                yield f"the sub-orchestration {child.instance_id} is {child.status}"
    for parent_id in sorted(children):
        yield f"there are sub-orchestrations of {parent_id}, which has none"


def _activities(evidence: Evidence) -> Iterator[str]:
    for planned in evidence.started:
        for key, least in planned.notes.items():
            if evidence.notes[key] < least:
                yield f"the activity {key} ran {evidence.notes[key]} times, not {least} or more"
    known = {key for planned in evidence.started for key in planned.notes}
    for key in sorted(evidence.notes.keys() - known - {"child"}):
        yield f"the activity {key} was never planned"


def _entities(evidence: Evidence) -> Iterator[str]:
    expected: Counter[str] = Counter()
    for planned in evidence.started:
        expected.update(planned.adds)
    for key in sorted(expected.keys() | evidence.totals.keys()):
        if evidence.totals.get(key) != expected.get(key):
            yield f"the counter {key} stands at {evidence.totals.get(key)}, not at {expected.get(key)}"


def _queue(evidence: Evidence) -> Iterator[str]:
    for planned in evidence.started:
        if planned.kind == "order" and not evidence.messages[planned.instance_id]:
            yield f"the message of {planned.instance_id} was never taken"
    if evidence.left_on_queue:
        yield f"{evidence.left_on_queue} messages are left on the queue"
    if evidence.poisoned:
        yield f"{evidence.poisoned} messages are on the poison queue"


def _hub(evidence: Evidence) -> Iterator[str]:
    if evidence.integrity != "ok":
        yield f"the task hub's file is damaged: {evidence.integrity}"
    for orphan in evidence.orphans:
        yield f"the task hub holds what nobody waits for: {orphan}"


def _processes(evidence: Evidence) -> Iterator[str]:
    for code in evidence.exits:
        yield f"a host ended by itself with {code}"
    for line in evidence.complaints:
        yield f"a host's log says: {line}"
