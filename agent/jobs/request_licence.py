"""The example of a job that asks first: request a software licence, which somebody must approve."""

import re
from datetime import timedelta
from typing import Any

from agent.answer import Answer
from agent.approval import Approval, approval_id_of, without_links
from agent.job_entry import Progress
from agent.jobs.definition import Approved, Cancellable, Done, Job, JobDefinition, Outcome, Titled, Waiting
from agent.ports import Services
from agent.proactive_message import ToUser

ASKS = re.compile(r"\b(request|order|buy|get|need|want)\b")
LICENCE = re.compile(r"\blicen[cs]es?\b(?: (?:for|of) (?P<product>.+))?", re.IGNORECASE)
TURNED_DOWN = re.compile(r"\b(not|never|cancel|stop)\b|n't\b|n\u2019t\b")
ANY_SOFTWARE = "the software of your choice"
LONGEST_PRODUCT = 100  # characters
PREPARED_IN = timedelta(seconds=5)


class RequestLicence(JobDefinition, Approved, Cancellable, Titled):
    kind = "request_licence"
    title = "Request a software licence"
    deadline = timedelta(days=14)

    def recognises(self, text: str) -> bool:
        asks = ASKS.search(text)
        return bool(asks and LICENCE.search(text, asks.end())) and not TURNED_DOWN.search(text)

    def acknowledgement(self, job: Job) -> Answer:
        return Answer(f"I will ask whether you may have a licence for {product_of(job)}.")

    def title_of(self, job: Job) -> str:
        return f"{self.title}: {product_of(job)}"

    async def approval(self, job: Job, *, services: Services) -> Approval:
        product, tenant_id = product_of(job), job.requested_by.tenant_id
        approver = services.licence_approver
        return Approval(
            question=f"May a licence for {product} be given out?",
            facts={"Product": product},
            put_to=ToUser(tenant_id=tenant_id, aad_object_id=approver) if approver and tenant_id else None,
            remind_after=timedelta(days=1),
            expires_after=timedelta(days=7),
            if_rejected=f"I am sorry, you may not have a licence for {product}.",
        )

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        progress = Progress(step=f"The licence for {product_of(job)} is approved and prepared", percent=50)
        return Waiting(state={}, check_in=PREPARED_IN, progress=progress)

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        answered = await services.approvals.find(approval_id_of(job.job_id))
        by = f", approved by {answered.answered_by}" if answered and answered.answered_by else ""
        words = f"Here is your licence for {product_of(job)}{by}: no. {licence_number(job)}."
        return Done(tell=Answer(words))

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer:
        return Answer(f"I have cancelled the licence for {product_of(job)}.")

    def failure(self, job: Job) -> Answer:
        return Answer("I am sorry, the licence could not be given out. Please ask me for it again.")


def product_of(job: Job) -> str:
    """What the licence is for, as far as the user said it."""
    said = LICENCE.search(job.words)
    product = (said["product"] or "").strip(" .!?") if said else ""
    return without_links(product[:LONGEST_PRODUCT]) or ANY_SOFTWARE


def licence_number(job: Job) -> str:
    """The same for each run of the job, so that what is done twice gives out one licence."""
    return job.job_id[:8].upper()
