"""What must hold of each turn of a soak run, of its job, and of what is left at the end."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from tests.soak.record import Delivery, Entered, SoakRecord, Turn
from tests.soak.streams import broken_streams

BUDGET = 10.0  # seconds from a turn's timestamp to what its user sees
CHANNEL_WAITS = 15.0  # seconds, then the channel gives a delivery up
# A response is on its way while the follow-up is let go: what a busy machine may need to hand it over.
HANDING_OVER = 2.0
HELD_STREAM = ".stream"  # the end of the id by which one run alone holds a stream; whose died is expired
STORING = 2.0  # seconds from a handler's end until the task hub has its result, on a busy machine


def broken_promises(record: SoakRecord) -> list[str]:
    """Each promise that the record shows broken; empty when all is well."""
    said = _Said(record)
    return [
        *(
            f"n{turn.number}: {broken}"
            for turn in record.turns
            for broken in (
                *_answers(turn),
                *_acknowledgement(turn, said),
                *_numbers(turn, said),
                *_order(turn, said),
                *_job(turn, record),
            )
        ),
        *broken_streams(record),
        *_left(record),
    ]


class _Said:
    """What was said of each turn, and how often it may have been said by what the ledger knows."""

    def __init__(self, record: SoakRecord) -> None:
        self._times: dict[tuple[int, str], list[float]] = defaultdict(list)
        for one in record.said:
            self._times[one.number, one.says].append(one.at)
        self._ambiguities: Counter[str] = Counter()
        for sends in record.ledger:
            self._ambiguities[sends.delivery_id.partition(".")[0]] += sends.ambiguities

    def times(self, turn: Turn, says: str) -> list[float]:
        return sorted(self._times.get((turn.number, says), []))

    def ambiguities(self, turn: Turn) -> int:
        """How many sends of the turn's job may have arrived without the ledger knowing."""
        return self._ambiguities[turn.turn_key]


def first_seen(turn: Turn, taken_on: list[float], done: list[float]) -> float | None:
    """When the user saw the first of the turn: a message, or the response to a pressed button."""
    responses = [delivery.ended for delivery in turn.deliveries if delivery.is_acknowledged]
    seen = responses if turn.is_button else [*taken_on, *done]
    return min(seen, default=None)


def is_disturbed(turn: Turn, *, before: float | None = None) -> bool:
    """Whether a host was killed while it had the turn."""
    return any(
        delivery.was_cut and (before is None or delivery.began < before) for delivery in turn.deliveries
    )


def _answers(turn: Turn) -> Iterator[str]:
    for delivery in turn.deliveries:
        took = delivery.ended - delivery.began
        if took > CHANNEL_WAITS and not delivery.was_cut:
            yield f"a delivery was answered {delivery.status} after {took:.1f} s"
        elif delivery.status is None and not delivery.was_cut:
            yield f"a delivery was not answered, and no host was killed: {delivery.body}"
        elif not (delivery.was_cut or delivery.is_acknowledged or _waited_for_a_killed(delivery, turn)):
            yield f"a delivery was answered {delivery.status} after {took:.1f} s: {delivery.body}"
    bodies = {repr(delivery.body) for delivery in turn.deliveries if delivery.is_acknowledged}
    if turn.is_button and len(bodies) > 1:
        yield f"its deliveries were answered differently: {' and '.join(sorted(bodies))}"
    if not any(delivery.is_acknowledged for delivery in turn.deliveries):
        yield f"it was never acknowledged: {[delivery.status for delivery in turn.deliveries]}"


def _waited_for_a_killed(delivery: Delivery, turn: Turn) -> bool:
    """Whether another delivery of the turn was killed meanwhile: then it may have been waited for in vain."""
    return any(other.was_cut and delivery.began < other.ended for other in turn.deliveries)


def _acknowledgement(turn: Turn, said: _Said) -> Iterator[str]:
    seen = first_seen(turn, said.times(turn, "taken on"), said.times(turn, "done"))
    if seen is None:
        yield "its user was told nothing"
    elif seen > (due := _due(turn, seen)):
        disturbed = ", killed in it" if is_disturbed(turn, before=seen) else ""
        yield f"its user was told {seen - turn.sent_at:.1f} s after it{disturbed}; {seen - due:.1f} s late"


def _due(turn: Turn, seen: float) -> float:
    """Until when it was to be acknowledged: in its budget, or by the delivery after the last that was cut."""
    cut = [delivery.ended for delivery in turn.deliveries if delivery.was_cut and delivery.began < seen]
    if not cut:
        return turn.sent_at + BUDGET
    next_ones = [delivery.began for delivery in turn.deliveries if delivery.began >= max(cut)]
    return max(min(next_ones, default=seen) + CHANNEL_WAITS, turn.sent_at + BUDGET)


def _numbers(turn: Turn, said: _Said) -> Iterator[str]:
    taken_on, done = said.times(turn, "taken on"), said.times(turn, "done")
    if said.times(turn, "broke"):
        yield "its job broke"
    most_acks = (0 if turn.is_button else 1) + turn.claim_ambiguities
    if len(taken_on) > most_acks:
        yield f"it was acknowledged {len(taken_on)} times, and the ledger knows of {most_acks}"
    if not taken_on and not done and not turn.is_button:
        yield "it was not acknowledged"
    # An answer that was ready in time is the turn's own reply, which the claim knows of too.
    in_the_response = turn.is_button and any("is done" in repr(one.body) for one in turn.deliveries)
    known = (0 if in_the_response else 1) + said.ambiguities(turn) + turn.claim_ambiguities
    if len(done) > known:
        yield f"its result came {len(done)} times, and the ledger knows of {known}"
    if not done and not in_the_response:
        yield "its result never came"


def _order(turn: Turn, said: _Said) -> Iterator[str]:
    """The result never comes before the acknowledgement, where there is one."""
    taken_on, done = said.times(turn, "taken on"), said.times(turn, "done")
    if taken_on and done and done[0] < taken_on[0]:
        yield f"its result came {taken_on[0] - done[0]:.2f} s before its acknowledgement"
    if turn.is_button and done and not is_disturbed(turn):
        answered = first_seen(turn, [], [])
        if answered is not None and done[0] + HANDING_OVER < answered:
            yield f"its result came {answered - done[0]:.2f} s before its response"


def _job(turn: Turn, record: SoakRecord) -> Iterator[str]:
    status = record.instances.get(turn.turn_key)
    if status is None:
        yield "there is no orchestration of it"
    elif status != "Completed":
        yield f"its orchestration is {status}"
    mine = [entry for entry in record.entered if entry.job_id == turn.turn_key]
    for what in sorted({entry.what for entry in mine}):
        entries = sorted((entry for entry in mine if entry.what == what), key=lambda entry: entry.at)
        for before, after in pairwise(entries):
            if not _was_killed_in(before, after, record):
                yield f"its job was told to {what} again, and no process was killed in it"


def _was_killed_in(before: Entered, after: Entered, record: SoakRecord) -> bool:
    """Whether the process of ``before`` was killed before what its handler gave can have been stored."""
    stored_by = after.at if before.left_at is None else before.left_at + STORING
    return after.pid != before.pid and any(
        kill.pid == before.pid and kill.at <= min(after.at, stored_by) for kill in record.kills
    )


def _left(record: SoakRecord) -> Iterator[str]:
    known = {turn.turn_key for turn in record.turns}
    for instance_id in sorted(record.instances.keys() - known):
        yield f"the orchestration {instance_id} belongs to no turn"
    for job_id in record.running:
        yield f"the job {job_id} still runs, says the board"
    for sends in record.ledger:
        is_ambiguous = sends.state == "ambiguous" and sends.ambiguities
        is_of_killed = record.kills and sends.delivery_id.endswith(HELD_STREAM) and sends.state == "expired"
        if not sends.has_ended:
            yield f"the delivery {sends.delivery_id} is {sends.state} and has not ended"
        elif not (sends.state == "sent" or is_ambiguous or is_of_killed):
            yield f"the delivery {sends.delivery_id} ended as {sends.state}"
    for turn in record.turns:
        if turn.claim_state != "acknowledged":
            yield f"n{turn.number}: its claim is {turn.claim_state}"
    if record.unread:
        yield f"{record.unread} messages are left on the queues"
