"""What a kind of background job is: how it is asked for, begun, checked, and told of."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

import msgspec

from agent.answer import Answer, Citation
from agent.approval import Approval
from agent.conversation import Conversation
from agent.job_entry import Progress
from agent.ports import Services
from agent.view import ViewKind

# Orchestrators do what is new for jobs from a version on: those in flight go on as they began.
JOB_VERSION = 2


class Job(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One background job that a user asked for: the input of its orchestration. ``request`` is the
    user's text, or the data of the button that was pressed. ``shown_as``: how it is shown while it runs;
    None: not at all. ``gives_up_at`` and ``tries``: by its definition's deadline and tries at its start,
    which its orchestration keeps, whatever is deployed. A new one has the ``version`` JOB_VERSION; one that
    tells none was begun before there were any."""

    version: int = 1
    job_id: str
    kind: str
    requested_at: datetime
    requested_by: Conversation
    request: Any = None
    shown_as: ViewKind | None = None
    gives_up_at: datetime | None = None
    tries: int | None = None

    @property
    def words(self) -> str:
        """What the user said; empty where a button was pressed."""
        return self.request if isinstance(self.request, str) else ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True, tag="waiting", tag_field="outcome", rename="camel"):
    """Not yet: check again in ``check_in``, or as soon as the job is reported ``completed``.

    ``state`` is handed to the next check; ``tell`` is told to the user now; ``progress`` is shown to the
    user who asks how the job is.
    """

    state: dict[str, Any]
    check_in: timedelta
    tell: Answer | None = None
    progress: Progress | None = None


class Composing(
    msgspec.Struct, frozen=True, kw_only=True, tag="composing", tag_field="outcome", rename="camel"
):
    """The answer is composed next, piece by piece (``Composed.compose``); ``tell`` is told before."""

    tell: Answer | None = None
    progress: Progress | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done", tag_field="outcome", rename="camel"):
    """The job succeeded; ``tell`` is what the user gets."""

    tell: Answer


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed", tag_field="outcome", rename="camel"):
    """The job failed in a way that was foreseen; ``tell`` says so to the user.

    ``may_try_again``: with a button that asks for the same job anew.
    """

    tell: Answer
    may_try_again: bool = False


class Rejected(
    msgspec.Struct, frozen=True, kw_only=True, tag="rejected", tag_field="outcome", rename="camel"
):
    """The job was not begun: who was asked said no; ``tell`` says so to the user."""

    tell: Answer


class Cancelled(
    msgspec.Struct, frozen=True, kw_only=True, tag="cancelled", tag_field="outcome", rename="camel"
):
    """The job was ended by its user; ``tell`` says so to them."""

    tell: Answer


Outcome = Waiting | Composing | Done | Failed


class JobDefinition(Protocol):
    """A kind of background job. `begin` and `check` may run more than once for one job (an activity
    function runs at least once): give the outside system ``job.job_id`` as its idempotency key."""

    kind: str  # stands in orchestrations in flight: never rename it
    title: str  # what the button of the welcome card says
    deadline: timedelta  # after this the job is given up, and the user is told

    def recognises(self, text: str) -> bool:
        """Whether ``text`` asks for this job: lower case, without mention and punctuation at the ends.

        A question that no job recognises is shown to them once more, with one question mark at its end.
        """

    def acknowledgement(self, job: Job) -> Answer:
        """What the user is told at once."""

    async def begin(self, job: Job, *, services: Services) -> Outcome:
        """Start the outside work. An exception is retried, then told as ``failure``."""

    async def check(self, job: Job, state: dict[str, Any], *, services: Services) -> Outcome:
        """See how far the outside work is. An exception is retried, then told as ``failure``."""

    def failure(self, job: Job) -> Answer:
        """What the user is told when the job broke, or was not done by its deadline.

        Called in the orchestrator: the same ``job`` must always give the same answer, without I/O.
        """


@runtime_checkable
class Cancellable(Protocol):
    """A kind of job that has something to undo when its user cancels it."""

    async def cancel(self, job: Job, state: dict[str, Any], *, services: Services) -> Answer | Done:
        """Undo the outside work; what the user is told. ``Done`` where it is too late: the job has succeeded.

        It may run more than once for one job. An exception is retried, and then the job goes on.
        """


@runtime_checkable
class Titled(Protocol):
    """A kind of job of which a user may have several at once: what each is called, in lists and cards."""

    def title_of(self, job: Job) -> str:
        """Such as ``Request a software licence: Sketch``. The same ``job`` must always give the same."""


@runtime_checkable
class Retried(Protocol):
    """A kind of job whose steps are tried more or less often than those of others."""

    tries: int  # of each step, the first among them


@runtime_checkable
class Approved(Protocol):
    """A kind of job that is begun only after somebody said yes."""

    async def approval(self, job: Job, *, services: Services) -> Approval:
        """What is asked, and of whom. It may run more than once for one job; the first that is kept counts.

        An exception is retried, then told as ``failure``.
        """


@runtime_checkable
class Streamed(Protocol):
    """A kind of job of seconds or minutes: where the channel streams, a stream shows that it runs."""

    stop_cancels: bool  # whether the user's Stop cancels the job, or ends its stream alone


class ComposingFailed(Exception):
    """The answer cannot be composed, in a way that was foreseen; ``tell`` says so to the user."""

    def __init__(self, tell: Answer) -> None:
        super().__init__("the answer cannot be composed")
        self.tell = tell


@runtime_checkable
class Composed(Streamed, Protocol):
    """A kind of job whose answer is composed piece by piece, and streamed where the channel streams."""

    def compose(self, job: Job, *, services: Services) -> AsyncIterator[str | Progress | Citation]:
        """The answer's text in pieces, in their order; Progress while there is none yet; its citations.

        It is run again, from its beginning, where its process died. ComposingFailed says what is told; any
        other exception is told as ``failure``.
        """
