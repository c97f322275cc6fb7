"""The card that lists a user's jobs, with a button for each that can be cancelled."""

from typing import Any

from agent.answer import Answer, card
from agent.job_entry import JobEntry


def jobs_card(heading: str, entries: list[JobEntry]) -> Answer:
    """``entries`` as a card, in their order."""
    summary = "; ".join(f"{entry.title}: {_how_it_is(entry)}" for entry in entries)
    jobs = [_item(entry, is_first=entry is entries[0]) for entry in entries]
    return Answer(card=card("jobs", heading=heading, summary=summary, jobs=jobs))


def _item(entry: JobEntry, *, is_first: bool) -> dict[str, Any]:
    says = [
        {"type": "TextBlock", "text": entry.title, "weight": "bolder", "wrap": True},
        {"type": "TextBlock", "text": _how_it_is(entry), "isSubtle": True, "spacing": "none", "wrap": True},
    ]
    columns: list[dict[str, Any]] = [{"type": "Column", "width": "stretch", "items": says}]
    if entry.is_running:
        cancel = {"type": "Action.Submit", "title": "Cancel", "data": {"cancel": entry.job_id}}
        button = {"type": "ActionSet", "actions": [cancel]}
        columns.append(
            {"type": "Column", "width": "auto", "verticalContentAlignment": "center", "items": [button]}
        )
    return {"type": "ColumnSet", "separator": not is_first, "columns": columns}


def _how_it_is(entry: JobEntry) -> str:
    if not entry.is_running:
        return entry.state
    step = entry.step or "under way"
    return step if entry.percent is None else f"{step} ({entry.percent}%)"
