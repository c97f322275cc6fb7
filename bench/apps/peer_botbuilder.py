"""botbuilder-integration-aiohttp, as in its samples: CloudAdapter, authentication by configuration."""

from aiohttp import web
from botbuilder.core import ActivityHandler, TurnContext
from botbuilder.integration.aiohttp import CloudAdapter, ConfigurationBotFrameworkAuthentication
from botbuilder.schema import ChannelAccount, ConversationAccount, ConversationReference

from bench.apps.program import IS_SIGNED, PORT, SERVICE_URL, Send, run
from bench.who import AGENT_ID, APP_ID, APP_PASSWORD, TENANT_ID


class Configuration:
    APP_ID = APP_ID if IS_SIGNED else ""
    APP_PASSWORD = APP_PASSWORD if IS_SIGNED else ""
    APP_TYPE = "SingleTenant" if IS_SIGNED else "MultiTenant"  # the other one wants to know who it is
    APP_TENANTID = TENANT_ID


class Echo(ActivityHandler):
    async def on_message_activity(self, turn_context: TurnContext) -> None:
        await turn_context.send_activity(f"You said: {turn_context.activity.text}")


def new_adapter() -> CloudAdapter:
    return CloudAdapter(ConfigurationBotFrameworkAuthentication(Configuration()))


async def serve() -> None:
    adapter, bot = new_adapter(), Echo()

    async def messages(request: web.Request) -> web.Response:
        return await adapter.process(request, bot)

    app = web.Application()
    app.router.add_post("/api/messages", messages)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    adapter = new_adapter()

    async def send(number: int) -> None:
        reference = ConversationReference(
            channel_id="msteams",
            service_url=SERVICE_URL,
            bot=ChannelAccount(id=AGENT_ID),
            conversation=ConversationAccount(id=f"a:conversation-{number:08}", tenant_id=TENANT_ID),
        )

        async def speak(turn_context: TurnContext) -> None:
            await turn_context.send_activity(f"Your order {number} has arrived.")

        await adapter.continue_conversation(reference, speak, APP_ID)

    return send


if __name__ == "__main__":
    run(serve=serve, sender=sender)
