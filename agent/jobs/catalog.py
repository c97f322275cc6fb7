"""The kinds of background job that users can ask for: add one line here for each file beside it."""

from collections.abc import Sequence

import msgspec

from agent.jobs.definition import JobDefinition
from agent.jobs.order_laptop import OrderLaptop

JOBS: Sequence[JobDefinition] = [
    OrderLaptop(),
]


class UnknownJob(LookupError):
    """No job of this kind is in the catalog; the message names it and the kinds that are there."""


def job_of_kind(kind: str) -> JobDefinition:
    """The definition of this kind. Raises UnknownJob."""
    for definition in JOBS:
        if definition.kind == kind:
            return definition
    raise UnknownJob(f"no job of kind {kind!r}; there are {', '.join(job.kind for job in JOBS)}")


class PressedButton(msgspec.Struct, frozen=True):
    """The data of a card's button that asks for a job: ``{"job": "<kind>"}``."""

    job: str


def job_asked_for(text: str | None, value: object) -> JobDefinition | None:
    """The job that a message's text or a pressed button's data asks for; None when it asks for none."""
    try:
        return job_of_kind(msgspec.convert(value, PressedButton).job)
    except (msgspec.ValidationError, UnknownJob):
        asked = (text or "").strip().strip(".!?").lower()
        return next((definition for definition in JOBS if definition.recognises(asked)), None)
