"""Teams SDK: App on its own FastAPI adapter and uvicorn, the access log off (in its favour)."""

import uvicorn
from fastapi import FastAPI
from microsoft_teams.api import MessageActivity
from microsoft_teams.apps import ActivityContext, App, FastAPIAdapter

from bench.apps.program import IS_SIGNED, PORT, SERVICE_URL, Send, run
from bench.who import APP_ID, APP_PASSWORD, TENANT_ID


def new_app() -> App:
    def server(app: FastAPI) -> uvicorn.Server:
        config = uvicorn.Config(app=app, host="127.0.0.1", port=PORT, log_level="warning", access_log=False)
        return uvicorn.Server(config)

    adapter = FastAPIAdapter(server_factory=server)
    if IS_SIGNED:
        app = App(
            client_id=APP_ID, client_secret=APP_PASSWORD, tenant_id=TENANT_ID, http_server_adapter=adapter
        )
    else:
        app = App(dangerously_allow_unauthenticated_requests=True, http_server_adapter=adapter)

    @app.on_message
    async def echo(turn: ActivityContext[MessageActivity]) -> None:
        await turn.send(f"You said: {turn.activity.text}")

    return app


async def serve() -> None:
    await new_app().start(PORT)


async def sender() -> Send:
    app = new_app()
    await app.initialize()

    async def send(number: int) -> None:
        text = f"Your order {number} has arrived."
        await app.send(f"a:conversation-{number:08}", text, service_url=SERVICE_URL)

    return send


if __name__ == "__main__":
    run(serve=serve, sender=sender)
