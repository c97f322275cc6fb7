"""A question at the Playground is answered piece by piece: by the stand-in, and by a model on loopback."""

from typing import Any

from local.playground import playground_url
from local.playground_driver import PlaygroundDriver
from local.stack import Stack
from tests.contract.answerer_server import KEY, MODEL, AnswererServer, answerer_server, chunk, words
from tests.e2e.conftest import RunStack

PAGE = {"type": "url_citation", "url_citation": {"url": "https://a.example/", "title": "A page"}}


def said_of(content: dict[str, Any]) -> dict[str, Any]:
    """What the message says of itself, as the Playground shows it: that it was generated, its citations."""
    found: dict[str, Any] = content["aiEntity"]
    return found


async def test_without_a_model_the_stand_in_answers_and_says_what_it_is(
    stack: Stack, playground: PlaygroundDriver
) -> None:
    await playground.say("How do I cancel a job?")
    growing = await playground.wait_for("Say 'cancel'", seconds=60)
    assert growing.content["streamEntity"]["streamType"] == "streaming"
    answer = await playground.wait_for("I am a stand-in without a language model", "aiEntity", seconds=60)
    assert answer.content["messageId"] == growing.content["messageId"]
    assert "docs/jobs.md, Cancelling" in str(said_of(answer.content)["citation"])


async def test_a_model_answers_what_is_asked(run_stack: RunStack) -> None:
    async with answerer_server() as model:
        model.chunks = [*words("It ", "rains ", "on Fridays."), chunk(annotations=[PAGE]), chunk("stop")]
        with run_stack(settings_of(model)) as stack:
            async with PlaygroundDriver(playground_url(stack.ports)) as playground:
                await playground.say("When does it rain?")
                answer = await playground.wait_for("It rains on Fridays. [1]", seconds=60)
                assert said_of(answer.content)["additionalType"] == ["AIGeneratedContent"]
                assert model.asked[0]["body"]["messages"][-1]["content"] == "When does it rain?"
                await playground.say("order a laptop")
                await playground.wait_for("Thank you for ordering a laptop", seconds=30)
        assert len(model.asked) == 1


async def test_a_model_that_does_not_take_our_key_is_told_of(run_stack: RunStack) -> None:
    async with answerer_server() as model:
        model.answer = 401, {"message": "wrong key", "code": "invalid_api_key"}, {}
        with run_stack(settings_of(model)) as stack:
            async with PlaygroundDriver(playground_url(stack.ports)) as playground:
                await playground.say("When does it rain?")
                await playground.wait_for("I cannot answer questions at the moment", seconds=60)


def settings_of(model: AnswererServer) -> dict[str, str]:
    return {"AnswererUrl": f"{model.url}/v1", "AnswererKey": KEY, "AnswererModel": MODEL}
