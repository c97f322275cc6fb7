"""The kinds of background job that users can ask for: add one line here for each file beside it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from agent.jobs.chat import Chat
from agent.jobs.definition import Job, JobDefinition, Retried, Titled
from agent.jobs.order_laptop import OrderLaptop
from agent.jobs.request_licence import RequestLicence
from agent.jobs.withdrawn import WITHDRAWN

# Of a job's own steps, unless its definition is Retried: some ten minutes long, each pause twice the last.
TRIES = 8
LONGEST_TITLE = 150

JOBS: Sequence[JobDefinition] = [
    OrderLaptop(),
    RequestLicence(),
    Chat(),
]


def job_of(job: Job) -> JobDefinition:
    """The definition of a job in flight; WITHDRAWN where the app has none of its kind any more."""
    return definition_of(job.kind) or WITHDRAWN


def definition_of(kind: str) -> JobDefinition | None:
    """The definition of this kind; None where the app has none."""
    return next((definition for definition in JOBS if definition.kind == kind), None)


def title_of(job: Job) -> str:
    """What the job is called, in LONGEST_TITLE characters at most."""
    definition = job_of(job)
    title = definition.title_of(job) if isinstance(definition, Titled) else definition.title
    return title[:LONGEST_TITLE]


def with_terms(job: Job) -> Job:
    """The job as it is started: with what its orchestration decides by, which is to stay as it is."""
    definition = job_of(job)
    return msgspec.structs.replace(
        job,
        gives_up_at=job.requested_at + definition.deadline,
        tries=definition.tries if isinstance(definition, Retried) else TRIES,
    )


def gives_up_at(job: Job) -> datetime:
    """When the job is given up; jobs of version 1 tell no such time."""
    return job.gives_up_at or job.requested_at + job_of(job).deadline


class PressedButton(msgspec.Struct, frozen=True):
    """The data of a card's button that asks for a job: ``{"job": "<kind>"}``."""

    job: str


def job_asked_for(text: str | None, value: object) -> JobDefinition | None:
    """The job that a message's text or a pressed button's data asks for; None when it asks for none."""
    try:
        pressed = definition_of(msgspec.convert(value, PressedButton).job)
    except msgspec.ValidationError:
        pressed = None
    return pressed or _recognised(text or "")


def _recognised(text: str) -> JobDefinition | None:
    """Who knows the text; a question that nobody knows is shown to all once more, with its mark."""
    said = text.strip().lower()
    asked = said.strip(".!?")
    is_question = bool(asked) and "?" in said[len(said.rstrip(".!?")) :]
    return _that_recognises(asked) or (_that_recognises(f"{asked}?") if is_question else None)


def _that_recognises(asked: str) -> JobDefinition | None:
    return next((definition for definition in JOBS if definition.recognises(asked)), None)
