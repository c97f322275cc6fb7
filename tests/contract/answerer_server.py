"""The chat completions API on loopback, streaming as OpenAI and Azure OpenAI do."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

MODEL = "a-model"
KEY = "the-key-of-the-answerer"


def chunk(finish_reason: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of an answer, as the API streams it."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1780000000,
        "model": MODEL,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def words(*pieces: str) -> list[dict[str, Any]]:
    return [chunk(role="assistant", content=""), *(chunk(content=piece) for piece in pieces)]


def without_choices(**fields: Any) -> dict[str, Any]:
    """What Azure streams first (the filter's word on the question), and others last (the usage)."""
    return {**chunk(), "choices": [], **fields}


class AnswererServer:
    """``asked``: each request's body, headers and path. ``chunks``: what is streamed; a text is written as it
    is. ``answer``: an answer without a stream. ``ends``: how the stream ends, after the chunks."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.chunks: list[dict[str, Any] | str] = [*words("It ", "depends."), chunk("stop")]
        self.answer: tuple[int, dict[str, Any], dict[str, str]] | None = None
        self.ends = "done"
        self.was_left = asyncio.Event()
        self.url = ""

    async def completions(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(
            {"path": request.path, "headers": dict(request.headers), "body": await request.json()}
        )
        if self.answer:
            status, error, headers = self.answer
            return web.json_response({"error": error}, status=status, headers=headers)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await self._stream(request, response)
        except (ConnectionError, asyncio.CancelledError):
            self.was_left.set()
            raise
        return response

    async def _stream(self, request: web.Request, response: web.StreamResponse) -> None:
        for one in self.chunks:
            told = one if isinstance(one, str) else json.dumps(one)
            await response.write(f"data: {told}\n\n".encode())
        match self.ends:
            case "done":
                await response.write(b"data: [DONE]\n\n")
            case "cut":
                await asyncio.sleep(0)
                assert request.transport is not None
                request.transport.abort()
            case "never":
                while True:
                    await response.write(b"data: " + json.dumps(chunk(content="more ")).encode() + b"\n\n")
                    await asyncio.sleep(0.01)
            case "silent":
                await asyncio.Event().wait()


@asynccontextmanager
async def answerer_server() -> AsyncIterator[AnswererServer]:
    server = AnswererServer()
    app = web.Application(handler_args={"handler_cancellation": True})
    for base in ("/v1", "/openai/v1"):
        app.router.add_post(f"{base}/chat/completions", server.completions)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
