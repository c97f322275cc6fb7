"""`make demo` names what does not arrive, whatever it is."""

from pathlib import Path
from typing import Any

import pytest

from local import scenes
from local.playground_driver import JsonObject, PlaygroundDriver, Shown
from local.ports import Ports
from local.scenes import ANSWER_BEGINS, LICENCE, PROACTIVE_TEXT, QUESTION, Scenes
from local.stack import Stack
from local.transcript import Transcript

# What it is, whose place it takes, its text or what its card says, its part of a stream.
Told = tuple[str, str | None, str | list[str], str | None]

# What comes of each thing that is done.
TOLD_OF: dict[str, list[Told]] = {
    "install": [("welcome", None, ["Order a laptop"], None)],
    "order": [("order's card", None, ["Thank you for ordering", "(10%)"], None)],
    "status": [("list of jobs", None, ["Your jobs"], None)],
    QUESTION: [
        ("stream opened", None, "Let me think", "informative"),
        ("answer's first words", "stream opened", ANSWER_BEGINS + " and", "streaming"),
        ("more of the answer", "stream opened", ANSWER_BEGINS + " and more", "streaming"),
        ("whole answer", "stream opened", ANSWER_BEGINS + " and more.", "final"),
    ],
    "put": [
        ("proactive message", None, PROACTIVE_TEXT, None),
        ("follow-up", None, "successfully placed your order", None),
        ("order's progress", "order's card", ["Running", "(50%)"], None),
    ],
    "cancel": [("list of two jobs", None, ["Which of your jobs"], None)],
    "pressed": [
        ("cancelled", None, "I have cancelled your order", None),
        ("cancelled order's card", "order's card 2", ["Cancelled"], None),
    ],
    LICENCE: [
        ("licence's card", None, ["I will ask whether"], None),
        ("question", None, ["Your answer is needed"], None),
    ],
    "executed": [
        ("answered question", "question", ["Approved", "for a year"], None),
        ("licence", None, "Here is your licence for Sketch", None),
        ("licence's end", "licence's card", ["Done"], None),
    ],
    "digest": [
        ("digest", None, "Your orders", None),
        ("delivered card", None, ["Your order was delivered"], None),
        ("order's end", "order's card", ["Done"], None),
    ],
}
# Where the first piece of an answer does not come, the next stands for it.
EVERYTHING = [what for told in TOLD_OF.values() for what, *_ in told if what != "answer's first words"]
CITED = {"position": 1, "appearance": {"name": "A page"}}
ENTITY = {"additionalType": ["AIGeneratedContent"], "citation": [CITED]}
ACTIONS = [
    {"type": "Action.Submit", "title": "Cancel", "data": {"cancel": "job-2"}},
    {"type": "Action.Execute", "title": "Approve", "verb": "approve", "data": {}},
]


class ScriptedDriver(PlaygroundDriver):
    """Shows what TOLD_OF says, but for one thing."""

    def __init__(self, *, without: str) -> None:
        super().__init__("http://127.0.0.1")
        self._without = without
        self._orders = 0

    async def install(self) -> None:
        self.tell_of("install")

    async def say(self, text: str) -> None:
        if text == "order a laptop":
            self._orders += 1
        self.tell_of("order" if text == "order a laptop" else text)

    async def press(self, card: Shown, data: JsonObject) -> None:
        self.tell_of("pressed")

    async def execute(self, card: Shown, verb: str, data: JsonObject) -> None:
        self.tell_of("executed")

    def tell_of(self, done: str) -> None:
        for what, place, said, part in TOLD_OF[done]:
            if what == self._without:
                continue
            own = f"{what} {self._orders}" if done == "order" and self._orders > 1 else what
            content: dict[str, Any] = {"messageId": place or own}
            if isinstance(said, str):
                content["text"] = said
            else:
                texts = [{"type": "TextBlock", "text": text} for text in said]
                content["attachments"] = [{"content": {"body": texts, "actions": ACTIONS}}]
            if part:
                content["streamEntity"] = {"streamType": part}
            if part == "final":
                content["aiEntity"] = ENTITY
            self.shown.append(Shown(at=0.0, conversation_id="a:1", content=content, is_update=bool(place)))


class ScenesAlone(Scenes):
    """The scenes without a stack: what else is at work speaks through the driver, too."""

    def __init__(self, driver: ScriptedDriver, stack: Stack, transcript: Transcript) -> None:
        super().__init__(driver, stack, transcript)
        self._driver = driver

    async def _put(self) -> None:
        self._driver.tell_of("put")

    async def _fire_digest(self) -> None:
        self._driver.tell_of("digest")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SOON", 0.01)
    monkeypatch.setattr(scenes, "LATER", 0.01)


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """One that is never started."""
    return Stack(ports=Ports(), data=tmp_path, task_hub=tmp_path, settings={})


async def missing(stack: Stack, *, without: str) -> list[str]:
    transcript = Transcript()
    await ScenesAlone(ScriptedDriver(without=without), stack, transcript).play()
    return transcript.missing


async def test_where_all_arrives_nothing_is_missing(stack: Stack) -> None:
    assert await missing(stack, without="") == []


@pytest.mark.parametrize("what", EVERYTHING)
async def test_what_does_not_arrive_is_named_first(
    stack: Stack, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (await missing(stack, without=what))[0] == what
    assert f"MISSING: {what}: " in capsys.readouterr().out
