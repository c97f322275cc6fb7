"""How an orchestration in flight may end, and what its user is told then."""

import re

from agent.composing import STOPPED
from devhost.durable.history import EventType
from orchestrators import steps
from tests.unit.orchestrators.in_flight import InFlight, raised_in, results_in

PLACED = r"Great! I have successfully placed your order #1\. I'll notify you when it's delivered\."
DELIVERED = r"Your order #1 \(laptop\) was delivered\."
TOO_LATE = r"It is too late to cancel: your order #1 was delivered meanwhile\."
ORDER_CANCELLED = r"I have cancelled your order( #1 \(laptop\)\.|\. It had not been placed yet\.)"
ORDER_BROKE = r"I am sorry, your laptop could not be ordered\. Please say 'order a laptop' to try again\."
GIVEN_OUT = r"Here is your licence for Sketch, approved by Alex Wilber: no\. \w{8}\."
NO_LICENCE = r"I am sorry, you may not have a licence for Sketch\."
LICENCE_CANCELLED = r"I have cancelled the licence for Sketch\."
NOT_ANSWERED = r"I am sorry, nobody answered in time: .*\."
WITHDRAWN = r"I have cancelled: .*\. Nobody is asked for an answer any more\."
DONE, BROKE = r"It is done\.", r"I am sorry, I could not see to it\."
CANCELLED = r"I have cancelled: .*\."
NOT_CANCELLED = r"I am sorry, I could not cancel: .*\. It goes on; please try to cancel it again\."
ANSWERED = r"It depends\.|You ask for a job in your own words[^|]*"
STOPPED_OR_CANCELLED = f"{re.escape(STOPPED)}|{CANCELLED}"
# For each kind of job and each end, the ways in which it may be told.
EXPECTED: dict[str, dict[str, list[list[str]]]] = {
    "order_laptop": {
        "done": [[PLACED, DELIVERED], [DELIVERED], [PLACED, TOO_LATE], [TOO_LATE]],
        "cancelled": [[PLACED, ORDER_CANCELLED], [ORDER_CANCELLED]],
        "failed": [[ORDER_BROKE], [PLACED, ORDER_BROKE]],
    },
    "request_licence": {
        "done": [[GIVEN_OUT]],
        "rejected": [[NO_LICENCE]],
        "failed": [[NOT_ANSWERED]],
        "cancelled": [[WITHDRAWN], [LICENCE_CANCELLED]],
    },
    "recorded_question": {"done": [[DONE]], "failed": [[NOT_ANSWERED]], "cancelled": [[WITHDRAWN]]},
    "recorded_print": {"done": [[DONE]], "cancelled": [[CANCELLED]]},
    "recorded_count": {"done": [[DONE]], "cancelled": [[CANCELLED]]},
    "recorded_break": {
        "done": [[NOT_CANCELLED] * tries + [DONE] for tries in range(3)],
        "failed": [[BROKE]],
        "cancelled": [[r"I have cancelled it\."]],
    },
    "recorded_composing": {"done": [[DONE]], "cancelled": [[CANCELLED]]},
    "chat": {"done": [[ANSWERED]], "cancelled": [[STOPPED_OR_CANCELLED]]},
}


def is_told_well(in_flight: InFlight, outcome: str) -> bool:
    """Whether the user was told what fits the end of the job, in the right order, and each thing once."""
    told = in_flight.told
    return any(
        len(told) == len(expected)
        and all(re.fullmatch(pattern, text, re.DOTALL) for pattern, text in zip(expected, told, strict=True))
        for expected in EXPECTED[in_flight.job.kind][outcome]
    )


def ends_of(in_flight: InFlight, event: str | None) -> set[str]:
    """How a job may end that has come so far, perhaps after an event."""
    if in_flight.job.version < 2 and _failures(in_flight) == steps.RETRIES.max_number_of_attempts:
        return {"failed"}
    end = _end_of(in_flight)
    # An answer counts from when the question is entered, until one is read that says how it ended.
    settled = results_in(in_flight.past, "settle_approval")
    is_open = bool(results_in(in_flight.past, "ask_approval")) and all(one["isOpen"] for one in settled)
    if event == "answered" and end == "failed" and is_open:
        return {"done"}
    cannot_end = in_flight.job.kind == "recorded_break" and "undo" in in_flight.job.request
    return {end, "cancelled"} if event == "cancel" and not cannot_end else {end}


def _failures(in_flight: InFlight) -> int:
    return sum(one["EventType"] == EventType.TASK_FAILED for one in in_flight.past)


def _end_of(in_flight: InFlight) -> str:
    """How it ends if nothing more comes."""
    job, names = in_flight.job, raised_in(in_flight.past)
    if job.kind == "recorded_break":
        return "done" if "undo" in job.request else "failed"
    if "cancel" in names or _is_stopped(in_flight):
        return "cancelled"
    if in_flight.asks and "answered" not in names:
        return "failed"
    return "rejected" if in_flight.is_rejected else "done"


def _is_stopped(in_flight: InFlight) -> bool:
    """Whether the user pressed Stop, and that was seen."""
    shown = [one["view"] for one in results_in(in_flight.past, "show_job")]
    composed = [one["outcome"]["outcome"] for one in results_in(in_flight.past, "compose_answer")]
    return "cancelled" in composed or any(view and view["cancelsJob"] for view in shown)
