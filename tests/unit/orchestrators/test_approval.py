"""A job that asks first: answered, reminded of, given up, withdrawn, whatever happens on the way."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from activities import ask_approval, run_job, send_follow_up, show_job
from adapters.in_memory import InMemoryServices
from agent.approval import ApprovalState, approval_id_of
from agent.conversation import Conversation
from agent.job_entry import JobEntry, owner_key
from agent.job_view import view_kind
from agent.jobs import catalog
from agent.jobs.definition import Job
from agent.jobs.request_licence import RequestLicence
from agent.ports import ActivityNotFound, ChannelBusy, ChannelRefused, ConversationGone
from agent.task_hub import to_task_hub
from agent.told_in_turn import LOOK_AGAIN_SECONDS
from agent.turn_claim import CLAIM_HOLDS
from orchestrators.approval import approval
from orchestrators.following import Following
from tests.unit.orchestrators.stepped_orchestration import SteppedOrchestration, activities_of
from tests.unit.orchestrators.test_follow_up import CHAT, failing

APPROVER = "44444444-4444-4444-8444-444444444444"
ASKER = msgspec.structs.replace(CHAT, user_name="Alex [x]")
MEGANS_CHAT = msgspec.structs.replace(CHAT, conversation_id="a:megan", aad_object_id=APPROVER)
QUESTION = "May a licence for Sketch be given out?"
GIVEN_OUT = "Here is your licence for Sketch, approved by Megan: no. JOB-1."
DAY = timedelta(days=1)


class ApprovalRun:
    """One job that asks, from its start; ``at`` has the press of a button come after a while."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, asked_in: Conversation = ASKER) -> None:
        self.services = InMemoryServices()
        for module in (ask_approval, run_job, send_follow_up, show_job):
            monkeypatch.setattr(module, "services", lambda: self.services)
        self.started = self.services.clock.now()
        self.asked_in = asked_in
        self.job = Job(
            job_id="job-1",
            kind="request_licence",
            requested_at=self.started,
            requested_by=asked_in,
            request="I need a licence for Sketch.",
        )
        self.presses: list[tuple[timedelta, ApprovalState, str]] = []
        self.events: dict[str, Any] = {}

    def press(self, after: timedelta, state: ApprovalState, comment: str = "", *, wakes: bool = True) -> None:
        """Megan answers; where it does not wake, the event got lost."""
        self.presses.append((after, state, comment))
        if wakes:
            self.events["answered"] = self.started + after

    def cancel(self, after: timedelta) -> None:
        self.events["cancel"] = self.started + after

    async def run(self) -> Any:
        await self.services.conversations.heard(self.asked_in, at=self.started)
        modules = (ask_approval, run_job, send_follow_up, show_job)
        activities = {name: self._as_pressed(function) for name, function in activities_of(modules).items()}
        self.orchestration = SteppedOrchestration(
            approval,
            to_task_hub(Following(job=self.job)),
            activities=activities,
            clock=self.services.clock,
            events=self.events,
        )
        return await self.orchestration.run()

    def _as_pressed(self, function: Any) -> Any:
        """The activity function, before which the buttons are pressed that are due."""

        async def call(given: Any) -> Any:
            for press in list(self.presses):
                after, state, comment = press
                entry = await self.services.approvals.find(approval_id_of("job-1"))
                if entry and entry.is_open and self.services.clock.now() >= self.started + after:
                    self.presses.remove(press)
                    answered = msgspec.structs.replace(
                        entry,
                        state=state,
                        answered_at=self.services.clock.now(),
                        answered_by="Megan",
                        comment=comment,
                    )
                    assert await self.services.approvals.answer(answered)
            return await function(given)

        return call

    async def approval_state(self) -> ApprovalState:
        entry = await self.services.approvals.find(approval_id_of("job-1"))
        assert entry is not None
        return entry.state

    async def entry(self) -> JobEntry:
        (found,) = await self.services.job_board.of_owner(owner_key(self.asked_in), at_most=5)
        return found

    @property
    def texts(self) -> list[str]:
        return [text for text in self.services.connector.texts if text]

    @property
    def failures(self) -> list[str]:
        """What was told with a button to try again."""
        return [
            card["fallbackText"]
            for card in self._all_cards("send")
            if any(action["data"] == {"again": "job-1"} for action in card.get("actions", []))
        ]

    def cards(self, method: str) -> list[dict[str, Any]]:
        """The cards of the approval that were sent, or updated."""
        return [card for card in self._all_cards(method) if len(card["body"]) > 1]

    def _all_cards(self, method: str) -> list[dict[str, Any]]:
        return [
            call.body["attachments"][0]["content"]
            for call in self.services.connector.calls
            if call.method == method and call.body and "attachments" in call.body
        ]


def facts(card: dict[str, Any]) -> dict[str, str]:
    return {fact["title"]: fact["value"] for fact in card["body"][2]["facts"]}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> ApprovalRun:
    return ApprovalRun(monkeypatch)


async def put_to_megan(run: ApprovalRun) -> None:
    run.services.licence_approver = APPROVER
    await run.services.conversations.heard(MEGANS_CHAT, at=run.started)


async def test_a_job_is_begun_once_its_question_is_answered_with_yes(run: ApprovalRun) -> None:
    await put_to_megan(run)
    run.press(timedelta(hours=2), "approved")
    assert await run.run() == {"outcome": "done", "told": 1}
    assert run.texts == [GIVEN_OUT]
    assert run.services.clock.now() - run.started == timedelta(hours=2, seconds=5)
    asked, shown, told = run.services.connector.calls
    assert [call.conversation_id for call in (asked, shown, told)] == ["a:megan", "a:megan", "a:chat"]
    assert (shown.method, shown.activity_id) == ("update", "sent-1")
    assert (await run.entry()).state == "done"


async def test_the_card_asks_with_execute_and_submit_and_shows_afterwards_who_answered_what(
    run: ApprovalRun,
) -> None:
    await put_to_megan(run)
    run.press(timedelta(hours=2), "approved", "for a year")
    await run.run()
    (asked,), (ended,) = run.cards("send"), run.cards("update")
    assert asked["body"][1]["text"] == QUESTION
    assert facts(asked) == {
        "Job": "Request a software licence: Sketch",
        "Asked by": "Alex (x)",
        "Product": "Sketch",
        "Answer by": "08 January 2026, 12:00 UTC",
    }
    buttons = [(action["type"], action["title"], action["fallback"]["type"]) for action in asked["actions"]]
    assert buttons == [
        ("Action.Execute", "Approve", "Action.Submit"),
        ("Action.Execute", "Reject", "Action.Submit"),
    ]
    for action in asked["actions"]:
        assert action["data"] == action["fallback"]["data"]
        assert action["data"]["approval"]["id"] == "job-1.approval.1"
    assert "actions" not in ended
    assert ended["body"][0]["text"] == "Approved"
    assert facts(ended)["Answered by"] == "Megan"
    assert facts(ended)["At"] == "01 January 2026, 14:00 UTC"
    assert facts(ended)["Comment"] == "for a year"


async def test_a_question_that_is_put_to_nobody_else_is_confirmed_where_it_was_asked_for(
    run: ApprovalRun,
) -> None:
    run.press(timedelta(seconds=3), "approved")
    await run.run()
    entry = await run.services.approvals.find("job-1.approval.1")
    assert entry is not None
    assert entry.put_to_key == owner_key(ASKER)
    assert {call.conversation_id for call in run.services.connector.calls} == {"a:chat"}


async def test_a_job_that_was_rejected_is_not_begun_and_its_user_is_told_why(run: ApprovalRun) -> None:
    run.press(timedelta(hours=2), "rejected", "too dear")
    assert await run.run() == {"outcome": "rejected", "told": 1}
    assert run.texts == ["I am sorry, you may not have a licence for Sketch.\n\nThe comment: too dear"]
    assert (await run.entry()).state == "rejected"
    assert run.orchestration.statuses[-1] == {"step": "rejected"}


async def test_who_was_asked_is_reminded_once_and_then_it_is_too_late(run: ApprovalRun) -> None:
    await put_to_megan(run)
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert run.services.clock.now() - run.started == 7 * DAY
    assert await run.approval_state() == "expired"
    (reminder,), (told,) = run.texts, run.failures
    assert reminder.startswith(f"A reminder: {QUESTION}")
    assert told == "I am sorry, nobody answered in time: Request a software licence: Sketch."
    assert run.cards("update")[0]["body"][0]["text"] == "Not answered in time"
    assert (await run.entry()).state == "failed"
    assert [call.conversation_id for call in run.services.connector.calls if call.body] == [
        "a:megan",
        "a:megan",
        "a:megan",
        "a:chat",
    ]


@pytest.mark.parametrize("after", [DAY - timedelta(hours=1), DAY + timedelta(hours=1)])
async def test_an_answer_whose_event_got_lost_is_found_at_the_next_moment(
    run: ApprovalRun, after: timedelta
) -> None:
    run.press(after, "approved", wakes=False)
    assert (await run.run())["outcome"] == "done"
    waited = DAY if after < DAY else 7 * DAY
    assert run.services.clock.now() - run.started == waited + timedelta(seconds=5)
    assert len(run.texts) == (1 if after < DAY else 2)  # reminded in between


async def test_an_answer_counts_though_the_time_is_over_when_it_was_first(run: ApprovalRun) -> None:
    run.press(7 * DAY, "approved")
    assert (await run.run())["outcome"] == "done"
    assert await run.approval_state() == "approved"


async def test_an_event_without_an_answer_only_wakes(run: ApprovalRun) -> None:
    run.events["answered"] = run.started + timedelta(hours=1)
    assert (await run.run())["outcome"] == "failed"
    assert run.services.clock.now() - run.started == 7 * DAY


@pytest.mark.parametrize("after", [timedelta(0), timedelta(hours=1), 2 * DAY])
async def test_a_job_that_its_user_cancels_before_the_answer_is_withdrawn(
    run: ApprovalRun, after: timedelta
) -> None:
    await put_to_megan(run)
    run.cancel(after)
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert run.services.clock.now() - run.started == after
    assert await run.approval_state() == "withdrawn"
    assert run.texts[-1] == (
        "I have cancelled: Request a software licence: Sketch. Nobody is asked for an answer any more."
    )
    assert run.cards("update")[0]["body"][0]["text"] == "Withdrawn"
    assert (await run.entry()).state == "cancelled"
    assert all(timer.is_cancelled for timer in run.orchestration.timers[-1:])


async def test_a_job_that_is_cancelled_as_it_is_approved_is_not_begun(run: ApprovalRun) -> None:
    run.press(timedelta(hours=1), "approved")
    run.cancel(timedelta(hours=1))
    del run.events["answered"]
    assert (await run.run())["outcome"] == "cancelled"
    assert "begun" not in run.texts
    assert await run.approval_state() == "approved"
    assert (await run.entry()).state == "cancelled"


async def test_a_job_that_is_cancelled_after_it_was_approved_is_cancelled_by_its_definition(
    run: ApprovalRun,
) -> None:
    run.press(timedelta(hours=1), "approved")
    run.cancel(timedelta(hours=1, seconds=2))
    assert await run.run() == {"outcome": "cancelled", "told": 1}
    assert run.texts == ["I have cancelled the licence for Sketch."]


async def test_a_busy_channel_is_waited_for_and_the_question_is_put_once(run: ApprovalRun) -> None:
    run.services.connector.errors.extend([ChannelBusy("429", retry_after=timedelta(seconds=7))] * 3)
    run.press(timedelta(hours=1), "approved")
    assert (await run.run())["outcome"] == "done"
    assert len(run.cards("send")) == 1


@pytest.mark.parametrize("error", [ConversationGone("403"), ChannelRefused("400")])
async def test_a_question_that_reaches_nobody_is_told_to_who_asked(
    run: ApprovalRun, error: Exception
) -> None:
    await put_to_megan(run)
    run.services.connector.errors.append(error)
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert run.failures == [
        "I am sorry, I could not reach who is to answer: Request a software licence: Sketch."
    ]
    assert (await run.entry()).state == "failed"


@pytest.mark.parametrize(
    ("error", "sent", "updated"),
    [(ActivityNotFound("404"), 2, 0), (ChannelBusy("429", retry_after=timedelta(seconds=1)), 1, 1)],
)
async def test_a_card_that_cannot_be_updated_at_once_is_shown_as_answered_all_the_same(
    run: ApprovalRun, error: Exception, sent: int, updated: int
) -> None:
    update = run.services.connector.update
    errors = [error]

    async def fail_once(*arguments: Any, **keywords: Any) -> Any:
        if errors:
            raise errors.pop()
        return await update(*arguments, **keywords)

    run.services.connector.update = fail_once  # type: ignore[method-assign]
    run.press(timedelta(hours=1), "approved")
    assert (await run.run())["outcome"] == "done"
    assert (len(run.cards("send")), len(run.cards("update"))) == (sent, updated)


async def test_a_card_that_cannot_be_shown_as_answered_does_not_stop_the_job(run: ApprovalRun) -> None:
    run.services.connector.update = failing(99, None)  # type: ignore[method-assign]
    run.press(timedelta(hours=1), "approved")
    assert (await run.run())["outcome"] == "done"


@pytest.mark.parametrize("fields", [{"is_from_copilot": True}, {"channel_id": "webchat"}])
async def test_where_a_card_cannot_be_changed_a_message_of_its_own_shows_the_answer(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    run = ApprovalRun(monkeypatch, asked_in=msgspec.structs.replace(ASKER, **fields))
    run.press(timedelta(hours=1), "approved")
    assert (await run.run())["outcome"] == "done"
    assert [card["body"][0]["text"] for card in run.cards("send")] == ["Your answer is needed", "Approved"]
    assert run.cards("update") == []


@pytest.mark.parametrize(("failures", "outcome"), [(4, "done"), (5, None)])
async def test_a_question_that_breaks_is_tried_five_times(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch, failures: int, outcome: str | None
) -> None:
    approval_of = failing(failures, RequestLicence().approval)
    monkeypatch.setattr(RequestLicence, "approval", staticmethod(approval_of))
    run.press(timedelta(hours=1), "approved")
    if outcome:
        assert (await run.run())["outcome"] == outcome
        return
    with pytest.raises(Exception, match="order service is down"):
        await run.run()
    assert run.failures == ["I am sorry, the licence could not be given out. Please ask me for it again."]
    assert (await run.entry()).state == "failed"


async def test_a_step_that_runs_twice_asks_reminds_and_shows_once(run: ApprovalRun) -> None:
    call_activity = SteppedOrchestration._call

    async def twice(self: SteppedOrchestration, task: Any) -> Any:
        await call_activity(self, task)
        return await call_activity(self, task)

    run.press(2 * DAY, "approved")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SteppedOrchestration, "_call", twice)
        assert await run.run() == {"outcome": "done", "told": 1}
    assert len(run.cards("send")) == 1
    assert [text[:10] for text in run.texts] == ["A reminder", "Here is yo"]


async def test_a_kind_that_asks_no_more_is_begun_without_a_question(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "JOBS", ())
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert "can no longer" in run.texts[0]


async def test_a_job_waits_for_its_answer_no_longer_than_its_deadline(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RequestLicence, "deadline", timedelta(hours=3))
    assert (await run.run())["outcome"] == "failed"
    assert run.services.clock.now() - run.started == timedelta(hours=3)
    assert (len(run.texts), len(run.failures)) == (0, 1)


async def test_the_board_says_that_a_job_waits_for_an_answer(run: ApprovalRun) -> None:
    seen: list[tuple[str, str]] = []
    put = run.services.job_board.put

    async def watched(entry: JobEntry) -> None:
        seen.append((entry.state, entry.step))
        await put(entry)

    run.services.job_board.put = watched  # type: ignore[method-assign]
    run.press(timedelta(hours=1), "approved")
    await run.run()
    assert seen[0] == ("running", "Waits for an answer")
    assert (await run.entry()).has_begun


def test_a_job_that_waits_for_people_is_not_streamed() -> None:
    class InSeconds(RequestLicence):
        stop_cancels = True

    assert view_kind(InSeconds(), ASKER) == "card"


@pytest.mark.parametrize("is_alive", [True, False])
async def test_a_confirmation_comes_after_the_acknowledgement(run: ApprovalRun, is_alive: bool) -> None:
    claims, sleep = run.services.turn_claims, run.services.clock.sleep
    claim = await claims.insert("job-1", at=run.started)
    assert claim is not None
    seen: list[int] = []

    async def acknowledge(seconds: float) -> None:
        await sleep(seconds)
        seen.append(len(run.services.connector.calls))
        assert (await run.entry()).has_begun, "the turn waits for that"
        if is_alive and len(seen) == 3:
            assert await claims.write(msgspec.structs.replace(claim, state="acknowledged"))

    run.services.clock.sleep = acknowledge  # type: ignore[method-assign]
    run.press(timedelta(hours=1), "approved")
    assert (await run.run())["outcome"] == "done"
    assert len(seen) == (3 if is_alive else CLAIM_HOLDS / timedelta(seconds=LOOK_AGAIN_SECONDS))
    assert set(seen) == {0}


async def test_a_job_that_was_approved_waits_for_no_second_answer_when_it_could_not_be_cancelled(
    run: ApprovalRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, cancel = failing(5, RequestLicence.begin), failing(8, RequestLicence.cancel)
    monkeypatch.setattr(RequestLicence, "begin", begin)
    monkeypatch.setattr(RequestLicence, "cancel", cancel)
    run.job = msgspec.structs.replace(run.job, version=2)
    run.press(timedelta(hours=1), "approved")
    run.cancel(timedelta(hours=1, seconds=3))
    assert await run.run() == {"outcome": "done", "told": 2}
    assert "could not cancel" in run.texts[0]
    assert run.services.clock.now() - run.started < timedelta(hours=2)
    assert len(run.cards("send")) == 1


async def test_a_job_whose_question_is_lost_breaks_and_can_be_run_again(run: ApprovalRun) -> None:
    find = run.services.approvals.find

    async def lost(approval_id: str) -> Any:
        return await find(approval_id) if run.services.clock.now() - run.started < DAY else None

    run.services.approvals.find = lost  # type: ignore[method-assign]
    assert await run.run() == {"outcome": "failed", "told": 1}
    assert run.failures == ["I am sorry, the licence could not be given out. Please ask me for it again."]
    kept = await run.services.ledger.read("job-1")
    assert kept is not None
    assert (kept.state, kept.reason) == ("failed", "what was asked is lost")
    assert (await run.entry()).reason == "what was asked is lost"


async def test_an_answer_is_read_as_soon_as_the_storage_that_was_down_for_minutes_is_back(
    run: ApprovalRun,
) -> None:
    await put_to_megan(run)
    find, until = run.services.approvals.find, timedelta(hours=1, minutes=10)

    async def down(approval_id: str) -> Any:
        if timedelta(hours=1) < run.services.clock.now() - run.started < until:
            raise ConnectionError("the storage is down")
        return await find(approval_id)

    run.services.approvals.find = down  # type: ignore[method-assign]
    run.press(timedelta(hours=1), "approved")
    run.events["answered"] = run.started + timedelta(hours=1, seconds=1)
    assert await run.run() == {"outcome": "done", "told": 1}
    assert run.services.clock.now() - run.started < until + timedelta(minutes=2)
