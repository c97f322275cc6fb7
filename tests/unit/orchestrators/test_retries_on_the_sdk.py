"""Steps that are tried anew, on the real SDK, with a restart after every step; and a cancel at any moment."""

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.conversation import Conversation
from agent.jobs.catalog import with_terms
from agent.jobs.definition import Job
from agent.jobs.order_laptop import OrderLaptop
from agent.jobs.request_licence import RequestLicence
from agent.task_hub import to_task_hub
from agent.view import View
from orchestrators.following import Following
from tests.devhost.simulation import START
from tests.unit.orchestrators import test_on_the_sdk
from tests.unit.orchestrators.test_follow_up import failing, said
from tests.unit.orchestrators.test_on_the_sdk import CHAT, TOLD_ALL, FollowUpRun, at_steps

pytestmark = test_on_the_sdk.pytestmark
NOT_PLACED = "I have cancelled your order. It had not been placed yet."
# While begin is tried for the third time, its pause included, so many steps have been made.
MOMENTS = range(1, 13)


class Retried(FollowUpRun):
    """Follows a job as it is begun today, whose order cannot be placed ``failures`` times."""

    def __init__(self, place: Path, monkeypatch: pytest.MonkeyPatch, *, failures: int) -> None:
        super().__init__(place, monkeypatch)
        self.placed_at: list[datetime] = []
        place_order = failing(failures, self.services.orders.place)

        async def watched(order_id: str, *, item: str, customer: Conversation) -> Any:
            self.placed_at.append(self.simulation.now)
            return await place_order(order_id, item=item, customer=customer)

        self.services.orders.place = watched  # type: ignore[method-assign]

    async def follow(self, between: Any = lambda: None, **fields: Any) -> None:
        await self.services.conversations.heard(CHAT, at=START)
        job = Job(version=2, job_id="i", kind="order_laptop", requested_at=START, requested_by=CHAT, **fields)
        self.simulation.start("follow_up", to_task_hub(Following(job=with_terms(job))))
        await self.simulation.run(between=between)


async def test_a_step_is_tried_anew_after_ever_longer_pauses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=4)
    await run.follow()
    assert run.services.connector.texts == TOLD_ALL
    assert await run.board_says() == "done"
    seconds = [round((moment - START).total_seconds()) for moment in run.placed_at]
    assert seconds == [0, 5, 15, 35, 75]


async def test_a_job_whose_tries_are_used_up_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=100)
    await run.follow()
    assert run.simulation.instance().status.text == "Failed"
    assert len(run.placed_at) == 8
    assert run.placed_at[-1] - START >= timedelta(seconds=615)
    assert [("could not be ordered" in text) for text in said(run.services)] == [True]
    assert await run.board_says() == "failed"
    record = await run.services.ledger.read("i")
    assert record is not None
    assert (record.state, record.reason) == ("failed", "begin: ConnectionError")


@pytest.mark.parametrize("step", MOMENTS)
async def test_a_cancel_at_any_moment_of_the_tries_ends_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=100)
    cancelled_at: list[datetime] = []

    def cancel() -> None:
        cancelled_at.append(run.simulation.now)
        run.simulation.raise_event("cancel", None)

    await run.follow(at_steps({step}, cancel))
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    assert said(run.services) == [NOT_PLACED]
    assert await run.board_says() == "cancelled"
    assert run.simulation.now - cancelled_at[0] < timedelta(seconds=1), "it waited out a pause"


@pytest.mark.parametrize("step", MOMENTS)
async def test_a_cancel_that_fails_while_a_step_is_tried_lets_the_job_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=4)
    run.services.orders._deliver_after = timedelta(hours=2)
    run.services.orders.cancel = failing(8, run.services.orders.cancel)  # type: ignore[method-assign]
    await run.follow(at_steps({step}, lambda: run.simulation.raise_event("cancel", None)))
    assert run.simulation.instance().status.text == "Completed", run.simulation.instance().output
    sorry, *others = run.services.connector.texts
    assert "could not cancel" in sorry
    assert others == TOLD_ALL
    assert await run.board_says() == "done"


async def test_a_stream_is_kept_alive_while_a_step_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=5)
    services, sent_at = run.services, [START]
    view = View(kind="stream", opened_at=START, shown_at=START, sequence=1, shown="I have begun.")
    claim = await services.turn_claims.insert("i", at=START)
    assert claim is not None
    await services.turn_claims.write(
        msgspec.structs.replace(claim, state="acknowledged", sent_ids=("stream-1",), view=view)
    )
    send = services.connector.send

    async def watched(outgoing: dict[str, Any], **how: Any) -> Any:
        sent_at.append(run.simulation.now)
        return await send(outgoing, **how)

    services.connector.send = watched  # type: ignore[method-assign]
    await run.follow(shown_as="stream")
    kinds = [
        entity["streamType"]
        for call in services.connector.calls
        for entity in (call.body or {}).get("entities", [])
    ]
    # After Teams' two minutes, what remains to be told comes as messages.
    assert kinds == ["informative", "informative", "informative", "final"]
    silences = [later - earlier for earlier, later in pairwise(sent_at[: len(kinds) + 1])]
    assert max(silences) < timedelta(seconds=30)
    assert services.connector.texts[-2:] == TOLD_ALL


@pytest.mark.parametrize("deployed_before", range(4, 24, 4))
@pytest.mark.parametrize(
    "definition",
    [
        {"tries": 2},
        {"deadline": timedelta(seconds=1)},
        {"kind": "another"},
        {"stop_cancels": True, "approval": RequestLicence.approval},
    ],
    ids=["tries", "deadline", "kind", "stop_cancels, approval"],
)
async def test_a_deployment_that_changes_what_is_tried_and_how_long_changes_no_job_in_flight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, definition: dict[str, Any], deployed_before: int
) -> None:
    run = Retried(tmp_path, monkeypatch, failures=5)

    def deploy() -> None:
        for name, value in definition.items():
            monkeypatch.setattr(OrderLaptop, name, value, raising=False)

    await run.follow(at_steps({deployed_before}, deploy))
    instance = run.simulation.instance()
    assert instance.status.text == "Completed", instance.output
