"""Users see and cancel their own jobs, by words and by button, and nobody else's."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from agent.answer import Answer
from agent.card_lint import findings
from agent.conversation import conversation_of
from agent.incoming import parse_incoming
from agent.job_entry import JobEntry, Progress, owner_key
from agent.jobs import running as running_steps
from agent.jobs.definition import Done, Failed, Job, Waiting
from agent.jobs.entries import entry_of
from tests.unit.turns import TENANT, USER, Channel, incoming_activity

CANCELLING = "I am cancelling: Order a laptop. I will tell you when it is done."
OTHER_USER = "44444444-4444-4444-8444-444444444444"
OTHER = {"id": "29:other", "name": "Robin", "aadObjectId": OTHER_USER}
GROUP = {"id": "19:group", "conversationType": "groupChat", "tenantId": TENANT, "isGroup": True}


class User:
    """Somebody who says and presses things; each is a turn of its own."""

    def __init__(self, channel: Channel, **fields: Any) -> None:
        self.channel = channel
        self._fields = fields
        self._turns = 0

    async def says(self, text: str, **fields: Any) -> dict[str, Any]:
        """The one answer."""
        return await self._takes(text=text, **fields)

    async def presses(self, data: Any, **fields: Any) -> dict[str, Any]:
        return await self._takes(text=None, value=data, **fields)

    async def _takes(self, **fields: Any) -> dict[str, Any]:
        self._turns += 1
        before = len(self.channel.said())
        turn_id = f"{self._fields.get('from', {}).get('id', 'user')}-{self._turns}"
        await self.channel.deliver(incoming_activity(id=turn_id, **{**self._fields, **fields}))
        (answer,) = self.channel.said()[before:]
        return answer


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def alex(channel: Channel) -> User:
    return User(channel)


@pytest.fixture
def robin(channel: Channel) -> User:
    return User(channel, **{"from": OTHER, "conversation": {**GROUP, "id": "a:robin"}})


async def order(user: User, **fields: Any) -> Job:
    """Order a laptop; the job, as it was stored."""
    user.channel.services.clock.step(timedelta(minutes=1))
    await user.says("order a laptop", **fields)
    return user.channel.started[-1]


async def note(channel: Channel, job: Job, outcome: Any) -> JobEntry:
    """What the job's activities write."""
    entry = entry_of(job, outcome, at=channel.services.clock.now())
    await channel.services.job_board.put(entry)
    return entry


def card_of(answer: dict[str, Any]) -> dict[str, Any]:
    (attachment,) = answer["attachments"]
    assert findings(attachment["content"]) == []
    content: dict[str, Any] = attachment["content"]
    return content


def buttons(node: Any) -> list[dict[str, Any]]:
    """The data of the buttons of a card."""
    if isinstance(node, list):
        return [data for child in node for data in buttons(child)]
    if not isinstance(node, dict):
        return []
    return [node["data"]] if node.get("type") == "Action.Submit" else buttons(list(node.values()))


async def test_who_has_no_jobs_is_told_so_kindly(alex: User) -> None:
    for text in ("status", "my orders"):
        assert "You have no jobs" in (await alex.says(text))["text"]
    assert "nothing to cancel" in (await alex.says("cancel"))["text"]
    assert alex.channel.started == []


async def test_a_job_is_on_the_board_as_soon_as_it_is_acknowledged(alex: User, channel: Channel) -> None:
    channel.begins = False
    job = await order(alex)
    card = card_of(await alex.says("status"))
    assert buttons(card) == [{"cancel": job.job_id}]
    assert "Order a laptop" in json.dumps(card)
    assert "under way" in json.dumps(card)


async def test_a_turn_that_takes_a_job_on_needs_two_operations_more(alex: User, channel: Channel) -> None:
    calls: list[str] = []
    board = channel.services.job_board

    class Counting:
        def __getattr__(self, name: str) -> Any:
            calls.append(name)
            return getattr(board, name)

    channel.services.job_board = Counting()  # type: ignore[assignment]
    await order(alex)
    assert calls == ["put", "insert", "find"], "the first is its activity function's"


async def test_running_and_ended_jobs_are_listed_with_step_and_percent_the_running_first(
    alex: User, channel: Channel
) -> None:
    running, done, failed = [await order(alex) for _ in range(3)]
    await note(
        channel,
        running,
        Waiting(state={}, check_in=timedelta(1), progress=Progress(step="On its way", percent=50)),
    )
    await note(channel, done, Done(tell=Answer("done")))
    await note(channel, failed, Failed(tell=Answer("failed")))
    answer = await alex.says("my jobs, please")
    card = card_of(answer)
    assert buttons(card) == [{"cancel": running.job_id}]
    told = "Your jobs: Order a laptop: On its way (50%); Order a laptop: failed; Order a laptop: done."
    assert card["fallbackText"] == told
    assert answer["summary"] == told


async def test_a_redelivered_turn_does_not_revive_a_job_that_has_ended(alex: User, channel: Channel) -> None:
    channel.services.connector.errors.append(ConnectionError("the process dies here"))
    with pytest.raises(ConnectionError):
        await channel.deliver(incoming_activity())
    (job,) = channel.started
    ended = await note(channel, job, Done(tell=Answer("done")))
    channel.services.clock.step(timedelta(minutes=1))
    await channel.deliver(incoming_activity())
    assert await channel.services.job_board.of_owner(ended.owner_key, at_most=5) == [ended]


@pytest.mark.parametrize("text", ["cancel", "Please cancel my laptop order!", "cancel it, I need no laptop"])
async def test_the_one_running_job_is_cancelled_by_words(alex: User, channel: Channel, text: str) -> None:
    ended = await order(alex)
    await note(channel, ended, Done(tell=Answer("done")))
    job = await order(alex)
    assert (await alex.says(text))["text"] == CANCELLING
    assert channel.cancelled == [job.job_id]
    assert len(channel.started) == 2


async def test_with_several_running_jobs_the_user_is_asked_which(alex: User, channel: Channel) -> None:
    first, second = await order(alex), await order(alex)
    card = card_of(await alex.says("cancel my laptop order"))
    assert buttons(card) == [{"cancel": second.job_id}, {"cancel": first.job_id}]
    assert channel.cancelled == []
    assert (await alex.presses({"cancel": first.job_id}))["text"] == CANCELLING
    assert channel.cancelled == [first.job_id]


async def test_the_job_that_is_named_is_cancelled(alex: User, channel: Channel) -> None:
    for number in (1292, 1293):
        progress = Progress(step=f"Order #{number} is placed", percent=50)
        await note(channel, await order(alex), Waiting(state={}, check_in=timedelta(1), progress=progress))
    assert (await alex.says("cancel order #1292"))["text"] == CANCELLING
    assert channel.cancelled == [channel.started[0].job_id]


async def test_what_is_named_and_does_not_run_is_not_cancelled_nor_ordered(
    alex: User, channel: Channel
) -> None:
    job = await order(alex)
    assert buttons(card_of(await alex.says("cancel the meeting with Bob"))) == [{"cancel": job.job_id}]
    assert channel.cancelled == []
    assert len(channel.started) == 1


async def test_nobody_sees_or_cancels_the_job_of_another_also_in_a_group(
    alex: User, robin: User, channel: Channel
) -> None:
    job = await order(alex, conversation=GROUP)
    for conversation in (GROUP, {**GROUP, "id": "a:robin"}):
        assert "You have no jobs" in (await robin.says("status", conversation=conversation))["text"]
        assert "nothing to cancel" in (await robin.says("cancel", conversation=conversation))["text"]
        pressed = await robin.presses({"cancel": job.job_id}, conversation=conversation)
        assert pressed["text"] == "I do not find this among your jobs, so I have cancelled nothing."
    assert channel.cancelled == []
    (entry,) = await channel.services.job_board.of_owner(owner_key(job.requested_by), at_most=5)
    assert entry.is_running


async def test_a_group_is_not_shown_what_was_asked_for_elsewhere(alex: User, channel: Channel) -> None:
    private = await order(alex)
    thread = {"id": "19:team@thread.tacv2;messageid=1", "conversationType": "channel", "tenantId": TENANT}
    public = await order(alex, conversation=thread)
    other_thread = {**thread, "id": "19:team@thread.tacv2;messageid=2"}
    assert "You have no jobs" in (await alex.says("status", conversation=GROUP))["text"]
    card = card_of(await alex.says("status", conversation=other_thread))
    assert buttons(card) == [{"cancel": public.job_id}]
    everything = buttons(card_of(await alex.says("status")))
    assert everything == [{"cancel": public.job_id}, {"cancel": private.job_id}]


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": {"id": "a:other-chat", "conversationType": "personal", "tenantId": TENANT.upper()}},
        {"from": {"id": "29:user-in-copilot", "aadObjectId": USER.upper()}},
    ],
)
async def test_a_user_is_known_by_tenant_and_entra_id_wherever_they_speak(
    alex: User, fields: dict[str, Any]
) -> None:
    job = await order(alex)
    assert buttons(card_of(await alex.says("status", **fields))) == [{"cancel": job.job_id}]


async def test_without_an_entra_user_the_account_of_the_channel_is_the_owner(
    alex: User, channel: Channel
) -> None:
    web = {"channelId": "webchat", "conversation": {"id": "web"}, "from": {"id": "u-1"}}
    job = await order(alex, **web)
    assert buttons(card_of(await alex.says("status", **web))) == [{"cancel": job.job_id}]
    for other in ({**web, "from": {"id": "u-2"}}, {**web, "channelId": "directline"}):
        assert "You have no jobs" in (await alex.says("status", **other))["text"]


@pytest.mark.parametrize("channel_id", ["webchat", "directline", "directlinespeech"])
async def test_a_client_that_puts_anothers_entra_ids_into_its_activity_is_not_them(
    alex: User, channel: Channel, channel_id: str
) -> None:
    job = await order(alex)
    tells = {"channelData": {"tenant": {"id": TENANT}}, "conversation": {"id": "web", "tenantId": TENANT}}
    forged = {**tells, "channelId": channel_id, "from": {"id": "u-1", "aadObjectId": USER}}
    assert "You have no jobs" in (await alex.says("status", **forged))["text"]
    assert "cancelled nothing" in (await alex.presses({"cancel": job.job_id}, **forged))["text"]
    assert channel.cancelled == []


def test_no_two_users_have_one_key() -> None:
    turns = [
        incoming_activity(),
        incoming_activity(**{"from": OTHER}),
        incoming_activity(conversation={"id": "c", "tenantId": OTHER_USER}),
        incoming_activity(**{"from": {"id": USER}}),
        incoming_activity(channelId="webchat", conversation={"id": "c"}),
    ]
    keys = {owner_key(conversation_of(parse_incoming(json.dumps(turn).encode())[1])) for turn in turns}
    assert len(keys) == len(turns)


@pytest.mark.parametrize("data", [{"cancel": "unknown"}, {"cancel": "0" * 32}])
async def test_an_unknown_job_is_answered_kindly(alex: User, channel: Channel, data: Any) -> None:
    await order(alex)
    assert "cancelled nothing" in (await alex.presses(data))["text"]
    assert channel.cancelled == []


@pytest.mark.parametrize("job_id", ["", "../x", "a'b", "x" * 5000, 7, None, {}, "a/b?c#d\\"])
async def test_a_forged_button_does_nothing(alex: User, channel: Channel, job_id: Any) -> None:
    await order(alex)
    assert "I did not get that" in (await alex.presses({"cancel": job_id}))["text"]
    assert channel.cancelled == []


async def test_a_job_that_has_ended_is_not_cancelled(alex: User, channel: Channel) -> None:
    job = await order(alex)
    ended = await note(channel, job, Done(tell=Answer("done")))
    answer = await alex.presses({"cancel": job.job_id})
    assert answer["text"] == "This has ended already: Order a laptop (done)."
    assert channel.cancelled == []
    assert await channel.services.job_board.find(ended.owner_key, ended.job_id) == ended


async def test_a_job_that_ends_while_it_is_cancelled_is_told_as_it_ended(
    alex: User, channel: Channel
) -> None:
    job = await order(alex)

    async def ends_first(job_id: str) -> bool:
        await note(channel, job, Done(tell=Answer("done")))
        return False

    channel._cancel_job = ends_first  # type: ignore[method-assign]
    assert "Order a laptop (done)" in (await alex.says("cancel"))["text"]


async def test_a_job_whose_orchestration_is_gone_is_shown_as_running_no_longer(
    alex: User, channel: Channel
) -> None:
    job = await order(alex)
    channel.ended.add(job.job_id)
    assert "has ended already" in (await alex.says("cancel"))["text"]
    assert "nothing to cancel" in (await alex.says("cancel"))["text"]


async def test_a_pressed_action_execute_cancels_too(alex: User, channel: Channel) -> None:
    job = await order(alex)
    action = {"type": "Action.Execute", "data": {"cancel": job.job_id}}
    invoke = incoming_activity(
        id="press-1", type="invoke", name="adaptiveCard/action", value={"action": action}, text=None
    )
    response = await channel.deliver(invoke)
    assert response is not None
    assert response.body["value"] == CANCELLING
    assert await channel.deliver(invoke) == response
    assert channel.cancelled == [job.job_id]


async def test_a_button_does_what_its_data_says_whatever_its_text_is(alex: User, channel: Channel) -> None:
    await alex.says("cancel", value={"job": "order_laptop"})
    assert len(channel.started) == 1
    other = await order(alex)
    await alex.says("status", value={"cancel": channel.started[0].job_id})
    assert channel.cancelled == [channel.started[0].job_id] != [other.job_id]


async def test_a_long_list_is_cut_and_shows_what_runs(alex: User, channel: Channel) -> None:
    oldest = await order(alex)
    entry = await channel.services.job_board.find(owner_key(oldest.requested_by), oldest.job_id)
    assert entry is not None
    for number in range(20):
        channel.services.clock.step(timedelta(seconds=1))
        newer = msgspec.structs.replace(
            entry, job_id=f"newer-{number}", state="done", requested_at=channel.services.clock.now()
        )
        await channel.services.job_board.put(newer)
    card = card_of(await alex.says("status"))
    assert buttons(card) == [{"cancel": oldest.job_id}]
    assert json.dumps(card["body"]).count("Order a laptop") == 10


TRYING = "Thank you for ordering a laptop. I will keep you posted with updates."
REQUEST = "order a laptop"


async def failed(user: User, **fields: Any) -> Job:
    """A job that broke."""
    job = await order(user, **fields)
    await running_steps.note_failure(job, services=user.channel.services)
    return job


async def test_a_pressed_try_again_starts_the_same_job_anew(alex: User, channel: Channel) -> None:
    job = await failed(alex)
    entry = await channel.services.job_board.find(owner_key(job.requested_by), job.job_id)
    assert entry is not None
    assert entry.answer is not None
    assert entry.answer.card is not None
    (data,) = buttons(entry.answer.card)
    assert data == {"again": job.job_id}
    assert TRYING in json.dumps(card_of(await alex.presses(data)))
    _, anew = channel.started
    assert (anew.kind, anew.request) == (job.kind, job.request) == ("order_laptop", REQUEST)
    assert anew.job_id != job.job_id
    # As often as it is pressed: each press is a request of its own.
    await alex.presses(data)
    assert len({started.job_id for started in channel.started}) == 3


async def test_a_pressed_try_again_that_is_delivered_twice_starts_one_job(
    alex: User, channel: Channel
) -> None:
    job = await failed(alex)
    press = incoming_activity(id="press-1", text=None, value={"again": job.job_id})
    channel.services.connector.errors.append(ConnectionError("the process dies here"))
    with pytest.raises(ConnectionError):
        await channel.deliver(press)
    channel.services.clock.step(timedelta(minutes=1))
    for _ in range(2):
        await channel.deliver(press)
    assert len(channel.started) == 2


async def test_what_a_button_asked_for_is_asked_for_anew(alex: User, channel: Channel) -> None:
    asked = {"job": "order_laptop", "colour": "grey"}
    await alex.presses(asked)
    (job,) = channel.started
    await running_steps.note_failure(job, services=channel.services)
    await alex.presses({"again": job.job_id})
    assert channel.started[1].request == asked


async def test_a_pressed_action_execute_tries_again_too(alex: User, channel: Channel) -> None:
    job = await failed(alex)
    action = {"type": "Action.Execute", "data": {"again": job.job_id}}
    invoke = incoming_activity(
        id="press-1", type="invoke", name="adaptiveCard/action", value={"action": action}, text=None
    )
    response = await channel.deliver(invoke)
    assert response is not None
    assert response.body["value"] == TRYING
    assert await channel.deliver(invoke) == response
    assert len(channel.started) == 2


async def test_nobody_tries_the_job_of_another_again(alex: User, robin: User, channel: Channel) -> None:
    job = await failed(alex, conversation=GROUP)
    pressed = await robin.presses({"again": job.job_id}, conversation=GROUP)
    assert pressed["text"] == "I do not find this among your jobs, so I have started nothing."
    assert "nothing to try again" in (await robin.says("try again", conversation=GROUP))["text"]
    assert channel.started == [job]


async def test_a_job_that_runs_is_not_started_again(alex: User, channel: Channel) -> None:
    job = await order(alex)
    pressed = await alex.presses({"again": job.job_id})
    assert pressed["text"] == "This is under way: Order a laptop. I will tell you when there is news."
    assert channel.started == [job]


@pytest.mark.parametrize("changes", [{"kind": "make_coffee"}, {"request": None}])
async def test_what_cannot_be_tried_again_is_said_so(
    alex: User, channel: Channel, changes: dict[str, Any]
) -> None:
    job = await failed(alex)
    entry = await channel.services.job_board.find(owner_key(job.requested_by), job.job_id)
    assert entry is not None
    await channel.services.job_board.put(msgspec.structs.replace(entry, **changes))
    for answer in (await alex.presses({"again": job.job_id}), await alex.says("try again")):
        assert (
            answer["text"] == "I cannot try this again by myself: Order a laptop. Please ask me for it anew."
        )
    assert channel.started == [job]


@pytest.mark.parametrize("job_id", ["", "../x", "a'b", "x" * 5000, 7, None, {}])
async def test_a_forged_try_again_starts_nothing(alex: User, channel: Channel, job_id: Any) -> None:
    await failed(alex)
    assert "I did not get that" in (await alex.presses({"again": job_id}))["text"]
    assert len(channel.started) == 1


async def test_the_last_job_that_failed_is_tried_again_by_words(alex: User, channel: Channel) -> None:
    await failed(alex)
    channel.services.clock.step(timedelta(minutes=1))
    await alex.presses({"job": "order_laptop", "colour": "grey"})
    await running_steps.note_failure(channel.started[-1], services=channel.services)
    done = await order(alex)
    await note(channel, done, Done(tell=Answer("done")))
    assert TRYING in json.dumps(card_of(await alex.says("please try again")))
    assert channel.started[-1].request == {"job": "order_laptop", "colour": "grey"}


async def test_where_nothing_failed_there_is_nothing_to_try_again(alex: User, channel: Channel) -> None:
    for text in ("try again", "retry"):
        assert "nothing to try again" in (await alex.says(text))["text"]
    await order(alex)
    assert "nothing to try again" in (await alex.says("retry"))["text"]
    assert len(channel.started) == 1


async def test_a_group_is_not_told_of_what_failed_elsewhere(alex: User, channel: Channel) -> None:
    await failed(alex)
    assert "nothing to try again" in (await alex.says("try again", conversation=GROUP))["text"]
    assert len(channel.started) == 1


async def test_a_job_that_broke_is_listed_as_failed_and_without_its_reason(
    alex: User, channel: Channel
) -> None:
    job = await failed(alex)
    entry = await channel.services.job_board.find(owner_key(job.requested_by), job.job_id)
    assert entry is not None
    assert entry.reason
    card = card_of(await alex.says("status"))
    assert card["fallbackText"] == "Your jobs: Order a laptop: failed."
    assert entry.reason not in json.dumps(card)
