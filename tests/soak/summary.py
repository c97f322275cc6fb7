"""What was seen in a soak run, in a few lines."""

from collections import Counter
from collections.abc import Sequence

from tests.soak.record import SoakRecord
from tests.soak.streams import undisturbed
from tests.soak.verdict import first_seen, is_disturbed


def summary(record: SoakRecord) -> str:
    """Counts, and how long users waited for the first that they saw of their turn."""
    deliveries = [delivery for turn in record.turns for delivery in turn.deliveries]
    statuses = Counter("no answer" if one.status is None else str(one.status) for one in deliveries)
    seen = {
        turn.number: first_seen(turn, *(_times(record, turn.number, says) for says in ("taken on", "done")))
        for turn in record.turns
    }
    waited = [
        moment - turn.sent_at
        for turn in record.turns
        if not is_disturbed(turn) and (moment := seen[turn.number]) is not None
    ]
    streams = {part.stream_id for part in record.parts}
    return "\n".join(
        [
            f"{len(deliveries)} deliveries of {len(record.turns)} turns: {dict(sorted(statuses.items()))}",
            f"{sum(map(is_disturbed, record.turns))} turns were cut off by a kill;"
            f" {sum(kill.ran_the_hub for kill in record.kills)} of {len(record.kills)} kills met the host"
            " that runs the jobs",
            f"first seen after (s): {_spread(waited)}",
            f"HTTP answered after (s): {_spread([one.ended - one.began for one in deliveries])}",
            f"messages: {dict(sorted(Counter(said.says for said in record.said).items()))};"
            f" ledger: {dict(sorted(Counter(sends.state for sends in record.ledger).items()))},"
            f" {sum(sends.ambiguities for sends in record.ledger)} sends and"
            f" {sum(turn.claim_ambiguities for turn in record.turns)} replies ambiguous",
            f"{len(streams)} streams with {len(record.parts)} parts; no kill came into {undisturbed(record)}",
        ]
    )


def _times(record: SoakRecord, number: int, says: str) -> list[float]:
    return [said.at for said in record.said if said.number == number and said.says == says]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "none"
    ordered = sorted(values)
    middle, late = ordered[len(ordered) // 2], ordered[min(int(len(ordered) * 0.99), len(ordered) - 1)]
    return f"median {middle:.2f}, 99th of a hundred {late:.2f}, most {ordered[-1]:.2f}"
