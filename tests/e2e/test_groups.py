"""Group chats and channels through the Playground: who asked is mentioned, where they asked.

The Playground speaks for one user alone: what another member says is passed on through it.
"""

import json
from typing import Any

from local.playground import playground_url
from local.playground_driver import PlaygroundDriver, Shown
from local.send import proactive_message, put_on_queue
from local.stack import Stack
from tests.e2e.conftest import RunStack
from tests.e2e.jobs import job_states, states_once_ended, until_jobs_wait
from tests.e2e.test_main_job import CANCELLED, DELIVERED, PLACED, cancel_data
from tests.e2e.turns import message_turn

THANKS = "Thank you for ordering a laptop"
ALEX = "<at>Alex Wilber</at>"


async def wait_in(conversation_id: str, part: str, *, playground: PlaygroundDriver, since: int = 0) -> Shown:
    """The first message in this conversation that holds ``part``."""
    return await playground.wait_until(
        lambda shown: shown.conversation_id == conversation_id and part in shown.everything,
        wanted=f"{part!r} in {conversation_id}",
        seconds=30,
        since=since,
    )


def mentions_alex(shown: Shown, playground: PlaygroundDriver) -> bool:
    mentioned = {"id": playground.user_id, "name": "Alex Wilber"}
    entities: list[Any] = shown.content["mentions"]
    is_called: bool = shown.content["text"].startswith(ALEX)
    return is_called and entities == [{"type": "mention", "text": ALEX, "mentioned": mentioned}]


async def follow_ups_mention_alex(conversation_id: str, *, playground: PlaygroundDriver) -> None:
    """Both follow-ups of an order come into this conversation and call Alex; nothing comes elsewhere."""
    placed = await wait_in(conversation_id, PLACED, playground=playground)
    assert mentions_alex(placed, playground)
    delivered = await wait_in(conversation_id, DELIVERED, playground=playground)
    # The Playground shows text and card of one message as two; the mention is the text of this card.
    called = playground.shown[playground.shown.index(delivered) - 1]
    assert called.content["text"] == ALEX
    assert mentions_alex(called, playground)
    assert {shown.conversation_id for shown in playground.shown} == {conversation_id}


async def test_an_order_in_a_group_chat_is_followed_up_there_with_a_mention(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    group_id = playground.group_chat_id
    await playground.call("order a laptop", in_conversation=group_id)
    await wait_in(group_id, THANKS, playground=playground)
    await follow_ups_mention_alex(group_id, playground=playground)


async def test_a_message_of_the_queue_mentions_whom_its_sender_names(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    group_id = playground.group_chat_id
    await playground.call("status", in_conversation=group_id)  # it must be known to be spoken in
    await wait_in(group_id, "jobs", playground=playground)
    message = {
        **proactive_message("The desk is ready"),
        "to": {"kind": "conversation", "channelId": "msteams", "conversationId": group_id},
        "mention": {"userId": playground.user_id, "name": "Alex Wilber"},
    }
    put_on_queue(json.dumps(message), connection_string=stack.connection_string)
    assert mentions_alex(await wait_in(group_id, "The desk is ready", playground=playground), playground)


async def test_an_order_in_a_channel_is_acknowledged_and_followed_up_in_its_thread(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.call("order a laptop", in_conversation=playground.channel_id)
    thanks = await playground.wait_for(THANKS, seconds=30)
    thread_id = thanks.conversation_id
    assert thread_id.startswith(f"{playground.channel_id};messageid=")
    await follow_ups_mention_alex(thread_id, playground=playground)


async def test_a_channel_post_that_does_not_tell_its_thread_is_answered_in_it(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.call("status", in_conversation=playground.channel_id)
    thread_id = (await playground.wait_for("jobs", seconds=30)).conversation_id
    turn = message_turn("do something", playground=playground, ports=stack.ports)
    turn["conversation"] |= {"id": playground.channel_id, "conversationType": "channel"}
    turn["replyToId"] = thread_id.removeprefix(f"{playground.channel_id};messageid=")
    since = len(playground.shown)
    await playground.pass_on(turn)
    answer = await playground.wait_for("I did not get that", seconds=30, since=since)
    assert answer.conversation_id == thread_id


async def test_another_member_neither_sees_nor_cancels_a_job_that_runs(run_stack: RunStack) -> None:
    # Time enough for all that is said here; nothing comes by itself before the orders are cancelled.
    with run_stack({"OrderWaitSeconds": "600"}) as stack:
        async with PlaygroundDriver(playground_url(stack.ports)) as playground:
            group_id = playground.group_chat_id
            await playground.call("order a laptop", in_conversation=group_id)
            await wait_in(group_id, THANKS, playground=playground)
            since = len(playground.shown)
            await playground.call("order a laptop", in_conversation=playground.channel_id)
            thread_id = (await playground.wait_for(THANKS, seconds=30, since=since)).conversation_id
            await until_jobs_wait(stack)
            for conversation_id in (group_id, thread_id):
                await megan_is_kept_out(conversation_id, playground=playground, stack=stack)
            assert set(await job_states(stack)) == {"Running"}
            for conversation_id in (group_id, thread_id):
                await playground.call("cancel", in_conversation=conversation_id)
                cancelled = await wait_in(conversation_id, CANCELLED, playground=playground)
                assert mentions_alex(cancelled, playground)
            assert await states_once_ended(stack) == ["Completed", "Completed"]


async def megan_is_kept_out(conversation_id: str, *, playground: PlaygroundDriver, stack: Stack) -> None:
    """What another member says and presses finds no job; Alex finds the one that was asked for here."""

    async def megan(text: str, **fields: Any) -> None:
        turn = message_turn(text, playground=playground, ports=stack.ports)
        somebody = playground.configuration["users"][0]
        turn["from"] = {name: somebody[name] for name in ("id", "name", "aadObjectId")}
        kind = "channel" if ";" in conversation_id else "groupChat"
        turn["conversation"] |= {"id": conversation_id, "conversationType": kind, "isGroup": True}
        await playground.pass_on({**turn, **fields})

    await megan("<at>Afterword</at> status")
    await wait_in(conversation_id, "You have no jobs", playground=playground)
    await megan("<at>Afterword</at> cancel")
    await wait_in(conversation_id, "nothing to cancel", playground=playground)
    await playground.call("status", in_conversation=conversation_id)
    listed = await wait_in(conversation_id, "Your jobs", playground=playground)
    await megan("", value=cancel_data(listed), replyToId=listed.content["messageId"])
    await wait_in(conversation_id, "I do not find this among your jobs", playground=playground)
