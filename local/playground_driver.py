"""A browserless client of a running Playground: it uses the endpoints that the Playground's own page uses.

They are not documented, which is why package.json pins the Playground's version.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp

JsonObject = dict[str, Any]
INSTALLED = "/_debug/conversation/{}/installation"
SAID = "/_conversation/v1/conversations/{}/messages"
SUBMITTED = "/_conversation/v1/submit"
INVOKED = "/_conversation/v1/invoke"
CUSTOM = "/_internal/v1/customActivities"
CONFIGURATION = "/_internal/v1/config"
STREAM = "/_ws_conversation/v1/conversations/stream"


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One message of the agent that the page would show, and when it came (``time.monotonic()``).

    ``is_update``: it takes the place of one that was shown before.
    """

    at: float
    conversation_id: str
    content: JsonObject
    is_update: bool = False

    @property
    def everything(self) -> str:
        """Its text and its cards as one text to search."""
        return json.dumps(self.content, ensure_ascii=False)

    @property
    def text(self) -> str:
        return str(self.content.get("text") or "")

    @property
    def message_id(self) -> str:
        """The same for a message and all its updates."""
        return str(self.content["messageId"])

    @property
    def stream_type(self) -> str | None:
        """``informative``, ``streaming`` or ``final``; None where it is no part of a stream."""
        found: str | None = (self.content.get("streamEntity") or {}).get("streamType")
        return found

    def button(self, title: str) -> JsonObject:
        """The first action of its cards with this title; NotShownError if there is none."""
        cards = [attachment.get("content") for attachment in self.content.get("attachments") or []]
        for action in _actions(cards):
            if action.get("title") == title:
                return action
        raise NotShownError(f"there is no button {title!r}")


def _actions(part: Any) -> Iterator[JsonObject]:
    if isinstance(part, list):
        for item in part:
            yield from _actions(item)
    elif isinstance(part, dict):
        if str(part.get("type")).startswith("Action."):
            yield part
        else:
            yield from _actions(list(part.values()))


class NotShownError(Exception):
    """What was waited for did not come in time."""


class PlaygroundDriver:
    """One person's view of the Playground, from the moment it is opened."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self.shown: list[Shown] = []
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(self._base_url)
        try:
            configuration = (await self._get(CONFIGURATION))["config"]
            self.personal_chat_id: str = configuration["personalChat"]["id"]
            self.group_chat_id: str = configuration["groupChats"][0]["id"]
            self.channel_id: str = configuration["teams"][0]["channels"][-1]["id"]
            self.user_id: str = configuration["currentUser"]["id"]
            self.configuration: JsonObject = configuration
            self._stream = await self._session.ws_connect(STREAM)
        except BaseException:
            await self._session.close()
            raise
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.cancel()
        with suppress(asyncio.CancelledError):
            await self._reader
        await self._stream.close()
        await self._session.close()

    async def install(self) -> None:
        """What opening the page does: the agent is told that it was installed, and who is there."""
        await self._post(INSTALLED.format(self.personal_chat_id), {})

    async def say(self, text: str) -> None:
        body = {"type": "text", "text": text, "textFormat": "plain", "from": {"id": self.user_id}}
        await self._post(SAID.format(self.personal_chat_id), body)

    async def call(self, text: str, *, in_conversation: str) -> None:
        """Say it in a group chat or a channel, where the agent hears only what mentions it.

        In a channel this begins a thread, or goes on with the one that the conversation's id tells.
        """
        agent = self.configuration["bot"]
        tag = f"<at>{agent['name']}</at>"
        mentioned = {"id": agent["id"], "name": agent["name"]}
        body = {
            "type": "text",
            "text": f"{tag} {text}",
            "textFormat": "plain",
            "from": {"id": self.user_id},
            "mentions": [{"type": "mention", "mentioned": mentioned, "text": tag}],
        }
        await self._post(SAID.format(in_conversation), body)

    async def press(self, card: Shown, data: JsonObject) -> None:
        """Press an Action.Submit button of ``card`` whose data is ``data``."""
        body = {
            "conversation": {"id": card.conversation_id},
            "replyToId": card.content["messageId"],
            "value": data,
            "from": {"id": self.user_id},
        }
        await self._post(SUBMITTED, body)

    async def execute(self, card: Shown, verb: str, data: JsonObject) -> None:
        """Press an Action.Execute button of ``card``; ``data`` holds what was typed into the card, too."""
        action = {"type": "Action.Execute", "title": verb, "verb": verb, "data": data}
        body = {
            "name": "adaptiveCard/action",
            "value": {"action": action},
            "from": {"id": self.user_id},
            "conversation": {"id": card.conversation_id},
            "replyToId": card.content["messageId"],
        }
        await self._post(INVOKED, body)

    async def pass_on(self, incoming: JsonObject) -> None:
        """Have the Playground send any channel activity to the agent, unchanged."""
        await self._post(CUSTOM, incoming)

    async def wait_for(self, *parts: str, seconds: float, since: int = 0) -> Shown:
        """The first message from index ``since`` on that holds all ``parts``; NotShownError if none comes."""
        return await self.wait_until(
            lambda shown: all(part in shown.everything for part in parts),
            wanted=" and ".join(repr(part) for part in parts),
            seconds=seconds,
            since=since,
        )

    async def wait_until(
        self, matches: Callable[[Shown], bool], *, wanted: str, seconds: float, since: int = 0
    ) -> Shown:
        deadline = time.monotonic() + seconds
        while True:
            self._news.clear()
            for shown in self.shown[since:]:
                if matches(shown):
                    return shown
            try:
                await asyncio.wait_for(self._news.wait(), deadline - time.monotonic())
            except TimeoutError:
                raise NotShownError(f"{wanted} was not shown within {seconds:g} s") from None

    def count(self, part: str) -> int:
        """How many of the messages so far hold ``part``, as they were when they came."""
        return sum(part in shown.everything for shown in self.shown if not shown.is_update)

    async def _read(self) -> None:
        async for frame in self._stream:
            if frame.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = json.loads(frame.data)
            if event.get("action") in ("createMessage", "updateMessage"):
                self.shown.append(
                    Shown(
                        at=time.monotonic(),
                        conversation_id=event["actionConversationId"],
                        content=event["message"],
                        is_update=event["action"] == "updateMessage",
                    )
                )
                self._news.set()

    async def _get(self, path: str) -> JsonObject:
        async with self._session.get(path, raise_for_status=True) as response:
            answer: JsonObject = await response.json(content_type=None)
            return answer

    async def _post(self, path: str, body: JsonObject) -> None:
        async with self._session.post(path, json=body, raise_for_status=True) as response:
            await response.read()
