"""The cards of jobs: one job as it runs, and the list of a user's jobs; with a button to cancel each."""

from typing import Any

from agent.answer import Answer, card
from agent.job_entry import JobEntry, JobState, Progress

UNDER_WAY = "Under way"
COLOURS: dict[JobState, str] = {
    "running": "accent",
    "done": "good",
    "failed": "attention",
    "cancelled": "default",
    "rejected": "attention",
}


def jobs_card(heading: str, entries: list[JobEntry]) -> Answer:
    """``entries`` as a card, in their order."""
    summary = "; ".join(f"{entry.title}: {_how_it_is(entry)}" for entry in entries)
    jobs = [_item(entry, is_first=entry is entries[0]) for entry in entries]
    return Answer(card=card("jobs", heading=heading, summary=summary, jobs=jobs))


def running_card(
    *,
    title: str,
    text: str,
    progress: Progress | None,
    state: JobState,
    job_id: str,
    is_update: bool = False,
) -> Answer:
    """One job: what was said when it was taken on, and how far it is; shown anew as it moves.

    It is a card alone, for the channel tells no id by which a text with a card could be changed (Teams).
    Where no card is shown its words are those of the acknowledgement, and how the job is in each update.
    """
    is_running = state == "running"
    how = (words_of(progress) or UNDER_WAY) if is_running else state.capitalize()
    filled = card(
        "job",
        summary=f"{title}: {how}" if is_update else text,
        text=text,
        title=title,
        state=state.capitalize(),
        colour=COLOURS[state],
        progress=[_subtle(how), *_bar(progress)] if is_running else [],
        actions=[_cancel(job_id)] if is_running else [],
    )
    return Answer(card=filled)


def words_of(progress: Progress | None) -> str:
    """A progress in one line."""
    if progress is None:
        return ""
    return progress.step if progress.percent is None else f"{progress.step} ({progress.percent}%)"


def _bar(progress: Progress | None) -> list[dict[str, Any]]:
    """The percent as Teams' own bar; as two columns where that is not known. Its words stand above it."""
    if progress is None or progress.percent is None:
        return []
    percent = progress.percent
    parts = ((percent, "accent"), (100 - percent, "emphasis"))
    columns = [
        {"type": "Column", "width": width, "style": style, "spacing": "none", "items": []}
        for width, style in parts
        if width
    ]
    fallback = {"type": "ColumnSet", "spacing": "small", "columns": columns}
    return [
        {"type": "ProgressBar", "value": percent, "max": 100, "color": "accent", "fallback": fallback},
    ]


def _subtle(words: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": words, "isSubtle": True, "spacing": "none", "wrap": True}


def _cancel(job_id: str) -> dict[str, Any]:
    return {"type": "Action.Submit", "title": "Cancel", "data": {"cancel": job_id}}


def _item(entry: JobEntry, *, is_first: bool) -> dict[str, Any]:
    title = {"type": "TextBlock", "text": entry.title, "weight": "bolder", "wrap": True}
    columns: list[dict[str, Any]] = [{"type": "Column", "width": "stretch"}]
    if entry.is_running:
        columns[0]["items"] = [title, _subtle(_how_it_is(entry)), *_bar(_progress(entry))]
        last: dict[str, Any] = {"type": "ActionSet", "actions": [_cancel(entry.job_id)]}
    else:
        columns[0]["items"] = [title]
        last = {
            "type": "TextBlock",
            "text": entry.state.capitalize(),
            "weight": "bolder",
            "color": COLOURS[entry.state],
        }
    columns.append({"type": "Column", "width": "auto", "verticalContentAlignment": "center", "items": [last]})
    return {"type": "ColumnSet", "separator": not is_first, "columns": columns}


def _how_it_is(entry: JobEntry) -> str:
    if not entry.is_running:
        return entry.state
    return words_of(_progress(entry)) or "under way"


def _progress(entry: JobEntry) -> Progress:
    return Progress(step=entry.step or "under way", percent=entry.percent)
