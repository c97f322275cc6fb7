"""Microsoft 365 Agents SDK: CloudAdapter with MsalConnectionManager, ActivityHandler, no state."""

from aiohttp import web
from microsoft_agents.activity import Activity, ConversationReference
from microsoft_agents.authentication.msal import MsalConnectionManager
from microsoft_agents.hosting.aiohttp import CloudAdapter, jwt_authorization_middleware
from microsoft_agents.hosting.core import ActivityHandler, TurnContext

from bench.apps.program import IS_SIGNED, PORT, SERVICE_URL, Send, run
from bench.who import AGENT_ID, APP_ID, APP_PASSWORD, TENANT_ID

SIGNED = {"CLIENTID": APP_ID, "CLIENTSECRET": APP_PASSWORD, "TENANTID": TENANT_ID}
CONNECTIONS = {"SERVICE_CONNECTION": {"SETTINGS": SIGNED if IS_SIGNED else {"ANONYMOUS_ALLOWED": True}}}


class Echo(ActivityHandler):
    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(f"You said: {turn_context.activity.text}")


async def serve() -> None:
    connections = MsalConnectionManager(CONNECTIONS=CONNECTIONS)
    adapter, agent = CloudAdapter(connection_manager=connections), Echo()

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, agent)

    app = web.Application(middlewares=[jwt_authorization_middleware])
    app["agent_configuration"] = connections.get_default_connection_configuration()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    adapter = CloudAdapter(connection_manager=MsalConnectionManager(CONNECTIONS=CONNECTIONS))

    async def send(number: int) -> None:
        reference = ConversationReference.model_validate(
            {
                "channelId": "msteams",
                "serviceUrl": SERVICE_URL,
                "agent": {"id": AGENT_ID},
                "user": {"id": f"29:user-{number:08}"},
                "conversation": {"id": f"a:conversation-{number:08}", "tenantId": TENANT_ID},
            }
        )
        text = f"Your order {number} has arrived."

        async def speak(turn_context: TurnContext) -> None:
            await turn_context.send_activity(Activity(type="message", text=text))

        await adapter.continue_conversation(APP_ID, reference.get_continuation_activity(), speak)

    return send


if __name__ == "__main__":
    run(serve=serve, sender=sender)
