"""The cards of jobs: one job as it runs, and the list of a user's jobs; with a button to cancel each."""

from typing import Any

from agent.answer import Answer, card
from agent.job_entry import JobEntry, JobState


def jobs_card(heading: str, entries: list[JobEntry]) -> Answer:
    """``entries`` as a card, in their order."""
    summary = "; ".join(f"{entry.title}: {_how_it_is(entry)}" for entry in entries)
    jobs = [_item(entry, is_first=entry is entries[0]) for entry in entries]
    return Answer(card=card("jobs", heading=heading, summary=summary, jobs=jobs))


def running_card(*, title: str, text: str, progress: str, state: JobState, job_id: str) -> Answer:
    """One job: what was said when it was taken on, and how far it is; shown anew as it moves.

    It is a card alone, for the channel tells no id by which a text with a card could be changed (Teams).
    """
    says = progress or "Under way" if state == "running" else state.capitalize()
    actions = [_cancel(job_id)] if state == "running" else []
    return Answer(card=card("job", title=title, text=text, progress=says, actions=actions))


def _cancel(job_id: str) -> dict[str, Any]:
    return {"type": "Action.Submit", "title": "Cancel", "data": {"cancel": job_id}}


def _item(entry: JobEntry, *, is_first: bool) -> dict[str, Any]:
    says = [
        {"type": "TextBlock", "text": entry.title, "weight": "bolder", "wrap": True},
        {"type": "TextBlock", "text": _how_it_is(entry), "isSubtle": True, "spacing": "none", "wrap": True},
    ]
    columns: list[dict[str, Any]] = [{"type": "Column", "width": "stretch", "items": says}]
    if entry.is_running:
        button = {"type": "ActionSet", "actions": [_cancel(entry.job_id)]}
        columns.append(
            {"type": "Column", "width": "auto", "verticalContentAlignment": "center", "items": [button]}
        )
    return {"type": "ColumnSet", "separator": not is_first, "columns": columns}


def _how_it_is(entry: JobEntry) -> str:
    if not entry.is_running:
        return entry.state
    step = entry.step or "under way"
    return step if entry.percent is None else f"{step} ({entry.percent}%)"
