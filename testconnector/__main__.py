"""The command line: `python -m testconnector` runs the connector until it is interrupted."""

import argparse
import asyncio
import json
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path

from testconnector.effects import FaultError
from testconnector.limits import RateLimits
from testconnector.options import Options
from testconnector.order import USUAL_PATTERN
from testconnector.server import running


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m testconnector", description=__doc__)
    parser.add_argument("--port", type=int, default=3980, help="0 takes a free one (default: 3980)")
    parser.add_argument("--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--faults", type=Path, help="JSON file with a list of rules")
    parser.add_argument("--app-id", default=Options.app_id, help="the bot's MicrosoftAppId, for its tokens")
    parser.add_argument("--require-token", metavar="PREFIX", help="what a token for the API must begin with")
    parser.add_argument("--rate-limits", action="store_true", help="hold Teams' rate limits and sizes")
    parser.add_argument("--stream-pace", type=float, default=0.0, metavar="SECONDS", help="Teams' is 1")
    parser.add_argument("--only-known", action="store_true", help="an unknown conversation is not found")
    parser.add_argument("--sequence", default=USUAL_PATTERN, help="how a text tells its number (a regex)")
    parser.add_argument("--no-bodies", action="store_true", help="do not keep bodies: for benches")
    return parser.parse_args(argv)


def _options(arguments: argparse.Namespace) -> Options:
    faults = json.loads(arguments.faults.read_text("utf-8")) if arguments.faults else []
    if not isinstance(faults, list):
        raise FaultError(f"{arguments.faults} holds no list of rules")
    return Options(
        app_id=arguments.app_id,
        require_token=arguments.require_token,
        limits=RateLimits() if arguments.rate_limits else None,
        stream_pace=arguments.stream_pace,
        only_known=arguments.only_known,
        sequence=arguments.sequence,
        keep_bodies=not arguments.no_bodies,
        faults=faults,
    )


async def _run(arguments: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no such handlers; there Ctrl-C ends the process.
        with suppress(NotImplementedError):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with running(_options(arguments), address=arguments.address, port=arguments.port) as connector:
        print(f"Service URL:        {connector.url}")
        print(f"BotOpenIdMetadata:  {connector.metadata_url}")
        print(f"MicrosoftAppId:     {connector.options.app_id}")
        print(f"Report:             {connector.base_url}/_report", flush=True)
        await stopped.wait()


def main(argv: list[str]) -> int:
    """Run the command line; returns the exit code."""
    arguments = _arguments(argv)
    try:
        asyncio.run(_run(arguments))
    except (OSError, ValueError, re.error, FaultError) as error:
        print(f"The test connector cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
