"""The command line: `python -m devhost start`."""

import argparse
import asyncio
import faulthandler
import logging
import os
import sys
from pathlib import Path

from devhost.command.local_settings import apply_local_settings, read_local_settings, set_host_variables
from devhost.errors import HostStartError
from devhost.host import Host, HostOptions
from devhost.host_json import HostJson
from devhost.host_log import configure_log


def _arguments(argv: list[str]) -> argparse.Namespace:
    if argv[:1] == ["host"]:
        argv = argv[1:]  # `func host start` and `func start` are one command
    parser = argparse.ArgumentParser(prog="devhost", description=__doc__)
    start = parser.add_subparsers(dest="command", required=True).add_parser(
        "start", help="run the app in a directory"
    )
    start.add_argument("-p", "--port", type=int, help="HTTP port (default: Host.LocalHttpPort, else 7071)")
    start.add_argument("--address", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    start.add_argument(
        "--script-root", type=Path, default=Path(), help="directory with host.json and function_app.py"
    )
    start.add_argument(
        "--data-dir", type=Path, help="where the task hub is kept (default: <script-root>/.devhost)"
    )
    start.add_argument("--functions", nargs="+", default=[], metavar="NAME", help="run only these functions")
    start.add_argument(
        "--shares-hub", action="store_true", help="beside other such processes on the same data directory"
    )
    start.add_argument("--verbose", action="store_true", help="log everything")
    return parser.parse_args(argv)


def _run(arguments: argparse.Namespace) -> None:
    script_root = arguments.script_root.resolve()
    if not script_root.is_dir():
        raise HostStartError(f"{script_root} is not a directory.")
    local_settings = read_local_settings(script_root)
    port = arguments.port
    if port is None:
        port = local_settings.get("Host", {}).get("LocalHttpPort", 7071)
    if not isinstance(port, int) or not 0 < port < 65536:
        raise HostStartError(f"{port!r} is not a port.")
    apply_local_settings(local_settings)
    set_host_variables(script_root, port)
    host_json = HostJson.read(script_root)
    options = HostOptions(
        script_root=script_root,
        data_dir=(arguments.data_dir or script_root / ".devhost").resolve(),
        address=arguments.address,
        port=port,
        only=arguments.functions,
        shares_hub=arguments.shares_hub,
    )
    asyncio.run(Host(options, host_json).run())


def main(argv: list[str]) -> int:
    """Run the command line; returns the exit code."""
    arguments = _arguments(argv)
    # The app runs in this process: a fault of a C extension takes it down, and has to leave a trace.
    faulthandler.enable()
    configure_log(verbose=arguments.verbose)
    try:
        _run(arguments)
    except HostStartError as reason:
        print(f"devhost cannot start: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # A synchronous function that ran over its time would keep the interpreter waiting for its thread.
    os._exit(code)
