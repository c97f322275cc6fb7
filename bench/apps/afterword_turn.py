"""Afterword's message function behind bare aiohttp, without a host; to send, its connector client."""

import azure.functions as func
from aiohttp import web

import bench.apps.afterword_app  # it plugs the bench's ports in, before the triggers are imported
from agent.conversation import Place
from bench.apps.afterword_services import bench_services, connector_alone
from bench.apps.program import PORT, SERVICE_URL, Send, run
from bench.who import AGENT_ID, TENANT_ID
from triggers import messages

assert bench.apps.afterword_app.app
# The bench's message asks for no job, so nothing is asked of the Durable client.
ANSWER_TURN = messages.answer_turn.build().get_user_function().client_function


async def serve() -> None:
    async def answer(request: web.Request) -> web.Response:
        turn = func.HttpRequest(
            "POST", str(request.url), headers=dict(request.headers), body=await request.read()
        )
        response: func.HttpResponse = await ANSWER_TURN(req=turn, durable_client=None)
        return web.Response(status=response.status_code, body=response.get_body())

    app = web.Application()
    app.router.add_post("/api/messages", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT).start()


async def sender() -> Send:
    connector = connector_alone(bench_services())

    async def send(number: int) -> None:
        conversation_id = f"a:conversation-{number:08}"
        message = {
            "type": "message",
            "text": f"Your order {number} has arrived.",
            "from": {"id": AGENT_ID},
            "conversation": {"id": conversation_id, "tenantId": TENANT_ID},
        }
        at = Place(service_url=SERVICE_URL, conversation_id=conversation_id, tenant_id=TENANT_ID)
        await connector.send(message, at=at)

    return send


if __name__ == "__main__":
    run(serve=serve, sender=sender)
