"""No host: one handler on aiohttp, as its own documentation writes it; the floor for devhost's HTTP side."""

import asyncio
import sys

from aiohttp import web


async def hello(_: web.Request) -> web.Response:
    return web.Response(text="hello")


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_get("/api/hello", hello)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
