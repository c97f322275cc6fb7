"""Microsoft 365 Agents SDK that acknowledges and leaves the rest to an asyncio task, as botbuilder's does."""

import asyncio
import time

from aiohttp import web
from microsoft_agents.activity import Activity, ConversationReference
from microsoft_agents.authentication.msal import MsalConnectionManager
from microsoft_agents.hosting.aiohttp import CloudAdapter, jwt_authorization_middleware
from microsoft_agents.hosting.core import ActivityHandler, TurnContext

from bench.apps.peer_agents import CONNECTIONS
from bench.apps.program import PORT, Send, run
from bench.reminder import ACKNOWLEDGEMENT, due_of
from bench.who import APP_ID

REMINDERS: set[asyncio.Task[None]] = set()  # so that they are not collected


class Reminders(ActivityHandler):
    def __init__(self, adapter: CloudAdapter) -> None:
        self._adapter = adapter

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(ACKNOWLEDGEMENT)
        due = due_of(turn_context.activity.text)
        if due is None:
            return
        reference = turn_context.activity.get_conversation_reference()
        task = asyncio.create_task(self._remind(reference, due))
        REMINDERS.add(task)
        task.add_done_callback(REMINDERS.discard)

    async def _remind(self, reference: ConversationReference, due: float) -> None:
        async def speak(turn_context: TurnContext) -> None:
            await turn_context.send_activity(Activity(type="message", text="You asked to be reminded."))

        await asyncio.sleep(max(due - time.time(), 0))
        await self._adapter.continue_conversation(APP_ID, reference.get_continuation_activity(), speak)


async def serve() -> None:
    connections = MsalConnectionManager(CONNECTIONS=CONNECTIONS)
    adapter = CloudAdapter(connection_manager=connections)
    agent = Reminders(adapter)

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, agent)

    app = web.Application(middlewares=[jwt_authorization_middleware])
    app["agent_configuration"] = connections.get_default_connection_configuration()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    raise NotImplementedError("it is measured as a server alone")


if __name__ == "__main__":
    run(serve=serve, sender=sender)
