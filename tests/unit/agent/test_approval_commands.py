"""A question's card is answered by whom it was put to, once, and by no other."""

from typing import Any

import msgspec
import pytest

from agent.approval import Approval, ApprovalEntry, approval_card, put_to_key
from agent.conversation import Conversation
from agent.incoming import parse_incoming
from agent.proactive_message import ToUser
from agent.turn_claim import CLAIM_HOLDS
from tests.unit.turns import TENANT, USER, Channel, incoming_activity

OTHER = "55555555-5555-4555-8555-555555555555"
APPROVAL_ID = "job-1.approval.1"
QUESTION = "May a licence for Sketch be given out?"
CARD = "application/vnd.microsoft.card.adaptive"
MESSAGE = "application/vnd.microsoft.activity.message"
ME = ToUser(tenant_id=TENANT, aad_object_id=USER.upper())


async def asked(channel: Channel, put_to: ToUser | None = ME) -> None:
    now = channel.services.clock.now()
    asked_in = Conversation(
        channel_id="msteams",
        conversation_id="a:chat",
        service_url="https://smba.example/",
        tenant_id=TENANT,
        aad_object_id=USER,
    )
    approval = Approval(question=QUESTION, put_to=put_to)
    entry = ApprovalEntry(
        approval_id=APPROVAL_ID,
        job_id="job-1",
        title="Request a software licence",
        approval=approval,
        asked_by="Alex",
        put_to_key=put_to_key(approval, asked_in),
        asked_at=now,
        expires_at=now + approval.expires_after,
    )
    assert await channel.services.approvals.insert(entry)


@pytest.fixture
async def channel() -> Channel:
    channel = Channel()
    await asked(channel)
    return channel


def data(answer: str = "approved", **fields: Any) -> dict[str, Any]:
    return {"approval": {"id": APPROVAL_ID, "answer": answer}, **fields}


def executed(pressed: Any, **fields: Any) -> dict[str, Any]:
    action = {"type": "Action.Execute", "verb": "approve", "data": pressed}
    return incoming_activity(
        **{
            "type": "invoke",
            "name": "adaptiveCard/action",
            "text": None,
            "value": {"action": action},
            **fields,
        }
    )


def submitted(pressed: Any, **fields: Any) -> dict[str, Any]:
    return incoming_activity(**{"text": None, "value": pressed, **fields})


def from_another(**fields: Any) -> dict[str, Any]:
    return {"from": {"id": "29:other", "name": "Megan", "aadObjectId": OTHER}, **fields}


async def execute(channel: Channel, activity: dict[str, Any]) -> dict[str, Any]:
    response = await channel.deliver(activity)
    assert response is not None
    assert response.status == 200
    body: dict[str, Any] = response.body
    assert body["statusCode"] == 200
    return body


async def state_of(channel: Channel) -> tuple[str, str, str]:
    entry = await channel.services.approvals.find(APPROVAL_ID)
    assert entry is not None
    return entry.state, entry.answered_by, entry.comment


def shown(body: dict[str, Any]) -> dict[str, str]:
    facts = {fact["title"]: fact["value"] for fact in body["value"]["body"][2]["facts"]}
    return {"heading": body["value"]["body"][0]["text"], **facts}


@pytest.mark.parametrize(("answer", "heading"), [("approved", "Approved"), ("rejected", "Rejected")])
async def test_a_pressed_execute_is_written_down_wakes_the_job_and_gives_the_answered_card(
    channel: Channel, answer: str, heading: str
) -> None:
    body = await execute(channel, executed(data(answer, comment=" fine [so](http://x) ")))
    assert body["type"] == CARD
    assert await state_of(channel) == (answer, "Alex", "fine (so)(http://x)")
    assert channel.woken == ["job-1"]
    told = shown(body)
    assert (told["heading"], told["Answered by"]) == (heading, "Alex")
    assert told["At"] == "01 January 2026, 12:00 UTC"
    assert "actions" not in body["value"]
    assert channel.said() == []


async def test_a_pressed_submit_is_written_down_and_acknowledged(channel: Channel) -> None:
    await channel.deliver(submitted(data("rejected", comment="no")))
    assert await state_of(channel) == ("rejected", "Alex", "no")
    assert channel.woken == ["job-1"]
    assert channel.services.connector.texts == ["Thank you. I have noted your answer: rejected."]


async def test_another_may_not_answer_and_nothing_happens(channel: Channel) -> None:
    body = await execute(channel, executed(data(), **from_another()))
    assert (body["type"], body["value"]) == (
        MESSAGE,
        "This is for somebody else to answer: nothing has changed.",
    )
    await channel.deliver(submitted(data(), **from_another(id="incoming-2")))
    assert channel.services.connector.texts == [body["value"]]
    assert (await state_of(channel))[0] == "open"
    assert channel.woken == []


@pytest.mark.parametrize(
    "fields",
    [
        {"conversation": {"id": "a:chat", "conversationType": "personal", "tenantId": OTHER}},
        {"from": {"id": "29:user", "name": "Alex"}},
        {"from": {"id": USER, "name": "Alex"}},
        {"channelId": "webchat"},
    ],
)
async def test_who_has_but_the_id_or_the_account_of_the_other_is_another(
    channel: Channel, fields: dict[str, Any]
) -> None:
    body = await execute(channel, executed(data(), **fields))
    assert body["type"] == MESSAGE
    assert (await state_of(channel))[0] == "open"


async def test_an_answer_from_another_chat_of_the_same_person_counts(channel: Channel) -> None:
    chat = {"id": "19:other@thread", "conversationType": "groupChat", "tenantId": TENANT.upper()}
    await execute(channel, executed(data(), conversation=chat))
    assert (await state_of(channel))[0] == "approved"


async def test_a_confirmation_in_a_group_is_the_askers_alone() -> None:
    channel = Channel()
    await asked(channel, put_to=None)
    assert (await execute(channel, executed(data(), **from_another(id="i-1"))))["type"] == MESSAGE
    assert (await execute(channel, executed(data(), id="i-2")))["type"] == CARD


async def test_a_second_answer_is_told_what_was_answered_and_changes_nothing(channel: Channel) -> None:
    first = await execute(channel, executed(data("approved", comment="yes")))
    second = await execute(channel, executed(data("rejected", comment="no"), id="incoming-2"))
    assert second == first
    await channel.deliver(submitted(data("rejected"), id="incoming-3"))
    assert channel.services.connector.texts == [f"Approved by Alex, 01 January 2026, 12:00 UTC: {QUESTION}"]
    assert await state_of(channel) == ("approved", "Alex", "yes")


@pytest.mark.parametrize("state", ["expired", "withdrawn"])
async def test_an_answer_that_comes_too_late_is_told_so(channel: Channel, state: str) -> None:
    entry = await channel.services.approvals.find(APPROVAL_ID)
    assert entry is not None
    over = msgspec.structs.replace(entry, state=state, answered_at=channel.services.clock.now())
    await channel.services.approvals.answer(over)
    channel.ended.add("job-1")
    body = await execute(channel, executed(data()))
    assert shown(body)["heading"] in ("Not answered in time", "Withdrawn")
    assert (await state_of(channel))[0] == state


async def test_an_answer_to_a_job_that_has_ended_otherwise_is_told_so(channel: Channel) -> None:
    channel.ended.add("job-1")
    body = await execute(channel, executed(data()))
    assert (body["type"], body["value"]) == (
        MESSAGE,
        "This has ended already, so your answer changes nothing.",
    )


async def test_an_answer_that_another_delivery_was_faster_with_counts_once(channel: Channel) -> None:
    answer = channel.services.approvals.answer

    async def beaten(entry: ApprovalEntry) -> ApprovalEntry | None:
        channel.services.approvals.answer = answer  # type: ignore[method-assign]
        await answer(msgspec.structs.replace(entry, state="rejected", answered_by="faster"))
        return await answer(entry)

    channel.services.approvals.answer = beaten  # type: ignore[method-assign]
    body = await execute(channel, executed(data("approved")))
    assert shown(body)["heading"] == "Rejected"
    assert (await state_of(channel))[:2] == ("rejected", "faster")


async def test_a_redelivered_execute_gives_the_same_body(channel: Channel) -> None:
    first = await execute(channel, executed(data(comment="yes")))
    channel.services.clock.step(CLAIM_HOLDS)
    assert await execute(channel, executed(data(comment="yes"))) == first
    assert channel.woken == ["job-1"]


async def test_an_execute_that_died_after_the_answer_was_written_down_is_made_good_by_the_next(
    channel: Channel,
) -> None:
    wake_job = channel._wake_job

    async def die(job_id: str) -> bool:
        channel._wake_job = wake_job  # type: ignore[method-assign]
        raise ConnectionResetError("the process dies here")

    channel._wake_job = die  # type: ignore[method-assign]
    with pytest.raises(ConnectionResetError):
        await channel.deliver(executed(data(comment="yes")))
    assert channel.woken == []
    body = await execute(channel, executed(data(comment="yes")))
    assert shown(body)["heading"] == "Approved"
    assert channel.woken == ["job-1"]


@pytest.mark.parametrize(
    "pressed",
    [
        {"approval": {"id": "unknown", "answer": "approved"}},
        {"approval": {"id": "job-1.approval.2", "answer": "approved"}},
    ],
)
async def test_a_question_that_is_not_known_is_told_so(channel: Channel, pressed: dict[str, Any]) -> None:
    body = await execute(channel, executed(pressed))
    assert "do not know this question" in body["value"]


@pytest.mark.parametrize(
    "pressed",
    [
        {"approval": {"id": APPROVAL_ID, "answer": "open"}},
        {"approval": {"id": APPROVAL_ID, "answer": "expired"}},
        {"approval": {"id": f"{APPROVAL_ID}' or 1 eq 1", "answer": "approved"}},
        {"approval": {"id": "x" * 200, "answer": "approved"}},
        {"approval": {"answer": "approved"}},
        {"approval": APPROVAL_ID},
    ],
)
async def test_what_no_button_of_ours_sends_changes_nothing(
    channel: Channel, pressed: dict[str, Any]
) -> None:
    response = await channel.deliver(executed(pressed))
    assert response is not None
    assert response.body["statusCode"] == 400
    assert (await state_of(channel))[0] == "open"


async def test_a_comment_is_cut_and_one_that_is_no_text_left_out(channel: Channel) -> None:
    await execute(channel, executed(data(comment="x" * 2000)))
    assert len((await state_of(channel))[2]) == 500
    other = Channel()
    await asked(other)
    await execute(other, executed(data(comment={"$": 1})))
    assert (await state_of(other))[2] == ""


def test_what_is_longer_than_a_card_takes_is_cut() -> None:
    facts = {f"title {number}": "x" * 1000 for number in range(50)}
    approval = Approval(question="?" * 2000, facts=facts)
    assert (len(approval.question), len(approval.facts), len(approval.facts["title 0"])) == (1000, 20, 400)


async def test_the_buttons_of_the_card_carry_what_is_understood(channel: Channel) -> None:
    entry = await channel.services.approvals.find(APPROVAL_ID)
    assert entry is not None
    card = approval_card(entry).card
    assert card is not None
    approve, reject = card["actions"]
    assert (approve["data"], reject["data"]) == (data("approved"), data("rejected"))
    _, incoming = parse_incoming(msgspec.json.encode(executed(reject["data"])))
    assert incoming.value["action"]["data"] == data("rejected")
