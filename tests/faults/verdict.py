"""What must hold of each delivery, whatever happened to it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from agent.delivery_record import DeliveryRecord, WhenAmbiguous


def broken_promises(
    delivery_ids: Iterable[str],
    records: Mapping[str, DeliveryRecord],
    arrivals: Mapping[str, int],
    *,
    when_ambiguous: WhenAmbiguous,
) -> list[str]:
    """Each delivery that was lost, doubled, or that the ledger tells wrongly; empty when all is well."""
    return [
        f"{delivery_id}: {broken}"
        for delivery_id in delivery_ids
        if (broken := _broken(records.get(delivery_id), arrivals.get(delivery_id, 0), when_ambiguous))
    ]


def _broken(record: DeliveryRecord | None, arrived: int, when_ambiguous: WhenAmbiguous) -> str:
    if record is None:
        return "it is not in the ledger"
    told = f"it is {record.state} with {record.ambiguities} ambiguities, and arrived {arrived} times"
    if not record.has_ended:
        return f"{told}: it has not ended"
    if when_ambiguous == "hold" and arrived > 1:
        return f"{told}: it was to be held"
    if (record.state == "sent" and not arrived) or (record.state == "failed" and arrived):
        return f"{told}: the ledger is wrong"
    known = 1 if record.state == "sent" else 0
    if arrived > known + record.ambiguities:
        return f"{told}: more often than the ledger knows of"
    return ""


def summary(records: Mapping[str, DeliveryRecord], arrivals: Mapping[str, int]) -> str:
    """How the deliveries ended, as a table: state, how many, of these arrived once, and more often."""
    rows = []
    for state, count in sorted(Counter(record.state for record in records.values()).items()):
        times = [arrivals.get(name, 0) for name, record in records.items() if record.state == state]
        once, more = times.count(1), sum(time > 1 for time in times)
        rows.append(f"| {state} | {count} | {times.count(0)} | {once} | {more} |")
    head = "| ended as | deliveries | arrived never | once | more often |\n|---|---|---|---|---|"
    return "\n".join([head, *rows])
