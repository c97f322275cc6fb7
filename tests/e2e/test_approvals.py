"""A job that asks first, through the Playground: answered by Action.Execute and by Action.Submit."""

from typing import Any

from local.playground import person_at_the_playground, playground_url
from local.playground_driver import PlaygroundDriver, Shown
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import states_once_ended
from tests.e2e.test_crashes import kill_functions_host
from tests.e2e.turns import message_turn, post_turn

ASKED = "Your answer is needed"
FOR_ANOTHER = "This is for somebody else to answer"
ADAPTIVE_CARD = "application/vnd.microsoft.card.adaptive"


def data_of(asked: Shown, title: str, *, comment: str = "") -> dict[str, Any]:
    """What a button of the card sends, with what is typed into it."""
    actions = asked.content["attachments"][0]["content"]["actions"]
    (data,) = [action["data"] for action in actions if action["title"] == title]
    return {**data, "comment": comment}


async def asked_for(product: str, playground: PlaygroundDriver) -> Shown:
    await playground.say(f"I need a licence for {product}")
    return await playground.wait_for(ASKED, f"May a licence for {product} be given out?", seconds=30)


async def test_a_licence_is_given_out_once_it_is_approved_by_execute(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    asked = await asked_for("Sketch", playground)
    assert playground.count("Here is your licence") == 0
    await playground.execute(asked, "approve", data_of(asked, "Approve", comment="for a year"))
    ended = await playground.wait_for('"Approved"', "Answered by", "for a year", seconds=30)
    assert "actions" not in ended.content["attachments"][0]["content"]
    await playground.wait_for("Here is your licence for Sketch, approved by", seconds=30)
    await playground.execute(asked, "reject", data_of(asked, "Reject"))
    await playground.press(asked, data_of(asked, "Reject"))
    await playground.wait_for("Approved by", "May a licence for Sketch be given out?", seconds=30)
    assert playground.count("Here is your licence for Sketch") == 1


async def test_a_licence_that_is_rejected_by_submit_is_not_given_out(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    asked = await asked_for("Draw", playground)
    await playground.press(asked, data_of(asked, "Reject", comment="too dear"))
    await playground.wait_for("Thank you. I have noted your answer: rejected.", seconds=30)
    ended = await playground.wait_for('"Rejected"', "Answered by", "too dear", seconds=30)
    assert ended.content["messageId"] == asked.content["messageId"]
    await playground.wait_for("you may not have a licence for Draw", "The comment: too dear", seconds=30)
    assert playground.count("Here is your licence for Draw") == 0
    await playground.say("status")
    await playground.wait_for("Request a software licence: Draw: rejected", seconds=30)


async def test_another_user_may_not_answer(stack: Stack, playground: PlaygroundDriver) -> None:
    asked = await asked_for("Paint", playground)
    megan = playground.configuration["users"][0]
    assert megan["id"] != playground.user_id
    turn = message_turn("", playground=playground, ports=stack.ports)
    turn["from"] = {"id": megan["id"], "name": megan["name"], "aadObjectId": megan["aadObjectId"]}
    del turn["text"]
    data = data_of(asked, "Approve")
    await playground.pass_on({**turn, "id": "by-megan-1", "value": data})
    await playground.wait_for(FOR_ANOTHER, seconds=30)
    action = {"type": "Action.Execute", "verb": "approve", "data": data}
    invoke = {**turn, "type": "invoke", "name": "adaptiveCard/action", "value": {"action": action}}
    for _ in range(2):
        status, _, body = await post_turn({**invoke, "id": "by-megan-2"}, ports=stack.ports)
        assert body is not None
        assert (status, body["type"]) == (200, "application/vnd.microsoft.activity.message")
        assert body["value"].startswith(FOR_ANOTHER)
    await playground.execute(asked, "approve", data)
    await playground.wait_for("Here is your licence for Paint, approved by Alex Wilber", seconds=30)


async def test_a_redelivered_execute_gives_the_same_card(stack: Stack, playground: PlaygroundDriver) -> None:
    asked = await asked_for("Write", playground)
    action = {"type": "Action.Execute", "verb": "approve", "data": data_of(asked, "Approve")}
    invoke = {
        **message_turn("", playground=playground, ports=stack.ports),
        "type": "invoke",
        "name": "adaptiveCard/action",
        "value": {"action": action},
    }
    answers = [await post_turn(invoke, ports=stack.ports) for _ in range(2)]
    assert answers[0] == answers[1]
    body = answers[0][2]
    assert body is not None
    assert (body["statusCode"], body["type"]) == (200, ADAPTIVE_CARD)
    assert body["value"]["body"][0]["text"] == "Approved"
    await playground.wait_for("Here is your licence for Write", seconds=30)


async def test_a_kill_while_a_job_waits_for_its_answer_and_after_it_loses_and_doubles_nothing(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    asked = await asked_for("Paper", playground)
    kill_functions_host(stack)
    stack.start_functions_host()
    action = {"type": "Action.Execute", "verb": "approve", "data": data_of(asked, "Approve")}
    invoke = {
        **message_turn("", playground=playground, ports=stack.ports),
        "type": "invoke",
        "name": "adaptiveCard/action",
        "value": {"action": action},
    }
    first = await post_turn(invoke, ports=stack.ports)
    kill_functions_host(stack)
    stack.start_functions_host()
    assert await post_turn(invoke, ports=stack.ports) == first
    await playground.wait_for("Here is your licence for Paper", seconds=60)
    assert set(await states_once_ended(stack)) == {"Completed"}
    assert playground.count("Here is your licence for Paper") == 1
    assert playground.count(ASKED) == 1


async def test_a_licence_that_another_is_to_approve_is_put_to_them_and_withdrawn_by_who_asked(
    run_stack: RunStack,
) -> None:
    # The Playground shows no chat of another user, so the person at it is both.
    with run_stack({"ApproverObjectId": person_at_the_playground().object_id}) as stack:
        async with PlaygroundDriver(playground_url(stack.ports)) as playground:
            asked = await asked_for("Sketch", playground)
            await playground.say("cancel")
            await playground.wait_for("I am cancelling: Request a software licence: Sketch.", seconds=30)
            await playground.wait_for("Nobody is asked for an answer any more.", seconds=30)
            await playground.wait_for('"Withdrawn"', seconds=30)
            assert await states_once_ended(stack) == ["Completed"]
            await playground.press(asked, data_of(asked, "Approve"))
            await playground.wait_for("Withdrawn, ", "May a licence for Sketch be given out?", seconds=30)
