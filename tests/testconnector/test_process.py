"""`python -m testconnector`, as a user starts it."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parent.parent.parent


async def start(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "testconnector", "--port", "0", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_it_says_where_it_is_does_as_scripted_and_stops_when_asked(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text(json.dumps([{"effect": {"error": "Throttled", "retry_after": 2}, "times": 1}]), "utf-8")
    process = await start("--faults", str(script), "--app-id", "an-app")
    assert process.stdout
    async with asyncio.timeout(60):
        first = (await process.stdout.readline()).decode()
        url = first.removeprefix("Service URL:").strip()
        async with aiohttp.ClientSession() as session:
            statuses = []
            for _ in range(2):
                path = f"{url}v3/conversations/a:1/activities"
                async with session.post(path, json={"type": "message"}) as answer:
                    statuses.append(answer.status)
        process.send_signal(signal.SIGTERM)
        rest, errors = await process.communicate()
    assert statuses == [429, 201]
    assert (process.returncode, errors) == (0, b"")
    assert "an-app" in rest.decode()


async def test_a_script_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    script = tmp_path / "faults.json"
    script.write_text('[{"effect": {"error": "Nothing"}}]', "utf-8")
    process = await start("--faults", str(script))
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode().startswith("The test connector cannot start: error: 'Nothing'")
    assert errors.count(b"\n") == 1
