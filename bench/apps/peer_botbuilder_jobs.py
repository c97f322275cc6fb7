"""botbuilder that acknowledges and leaves the rest to an asyncio task, which dies with its process."""

import asyncio
import time

from aiohttp import web
from botbuilder.core import ActivityHandler, TurnContext
from botbuilder.schema import ConversationReference

from bench.apps.peer_botbuilder import new_adapter
from bench.apps.program import PORT, Send, run
from bench.reminder import ACKNOWLEDGEMENT, due_of
from bench.who import APP_ID

ADAPTER = new_adapter()
REMINDERS: set[asyncio.Task[None]] = set()  # so that they are not collected


class Reminders(ActivityHandler):
    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(ACKNOWLEDGEMENT)
        due = due_of(turn_context.activity.text)
        if due is None:
            return
        reference = TurnContext.get_conversation_reference(turn_context.activity)
        task = asyncio.create_task(remind(reference, due))
        REMINDERS.add(task)
        task.add_done_callback(REMINDERS.discard)


async def remind(reference: ConversationReference, due: float) -> None:
    async def speak(turn_context: TurnContext) -> None:
        await turn_context.send_activity("You asked to be reminded.")

    await asyncio.sleep(max(due - time.time(), 0))
    await ADAPTER.continue_conversation(reference, speak, APP_ID)


async def serve() -> None:
    bot = Reminders()

    async def messages(request: web.Request) -> web.Response:
        return await ADAPTER.process(request, bot)

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    raise NotImplementedError("it is measured as a server alone")


if __name__ == "__main__":
    run(serve=serve, sender=sender)
