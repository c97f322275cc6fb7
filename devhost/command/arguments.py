"""The arguments of `devhost start`, which are those of `func start` and a few of devhost's own."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

VERSION = "4.0.0+devhost"  # harnesses read a version of func's line 4 out of it
ERROR = 1  # func's exit code for whatever it refuses

_IGNORED_WITH_VALUE = ("--language-worker", "--user-log-level", "--runtime", "--json-output-file")
_IGNORED = ("--no-build", "--enable-json-output", "--dotnet-isolated-debug")
_OTHERS = (
    "--csharp",
    "--dotnet",
    "--javascript",
    "--typescript",
    "--java",
    "--powershell",
    "--custom",
)


@dataclass(frozen=True, slots=True)
class StartArguments:
    """What the command line says; None where it says nothing. `ignored` mean something to func only."""

    script_root: Path | None
    data_dir: Path | None
    port: int | None
    address: str | None
    cors: str | None
    cors_credentials: bool
    start_seconds: int
    functions: Sequence[str]
    enable_auth: bool
    shares_hub: bool
    is_python: bool
    watches: bool
    verbose: bool
    ignored: Sequence[str]


class _Parser(argparse.ArgumentParser):
    """Ends as func does on what it does not understand: with one line and exit code 1."""

    def error(self, message: str) -> NoReturn:
        self.exit(ERROR, f"{self.prog}: {message}\n")


def read_arguments(argv: Sequence[str]) -> StartArguments:
    """Read `start ...` or `host start ...`. Raises SystemExit after --help, --version and on an error."""
    given = list(argv[1:] if argv[:1] == ["host"] else argv)
    parser = _parser()
    if not given or given == ["help"]:
        parser.print_help(sys.stdout)
        raise SystemExit(0)
    read = parser.parse_args(given)
    return StartArguments(
        script_root=read.script_root,
        data_dir=read.data_dir,
        port=read.port,
        address=read.address,
        cors=read.cors,
        cors_credentials=read.cors_credentials,
        start_seconds=read.timeout,
        functions=read.functions,
        enable_auth=read.enable_auth,
        shares_hub=read.shares_hub,
        is_python=read.python,
        watches=read.watch,
        verbose=read.verbose,
        ignored=sorted({flag for flag in (*_IGNORED, *_IGNORED_WITH_VALUE) if _was_given(flag, given)}),
    )


def _was_given(flag: str, argv: Sequence[str]) -> bool:
    return any(argument == flag or argument.startswith(f"{flag}=") for argument in argv)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="devhost",
        description="A local Azure Functions host for Python apps. `devhost host start` is `devhost start`.",
        allow_abbrev=False,
    )
    parser.add_argument("-v", "--version", action="version", version=VERSION)
    start = parser.add_subparsers(dest="command", required=True).add_parser(
        "start", help="run the app in a directory", allow_abbrev=False
    )
    start.add_argument("-p", "--port", type=int, help="HTTP port (default: Host.LocalHttpPort, else 7071)")
    start.add_argument("--address", help="where to listen (default: Host.LocalHttpAddress, else 127.0.0.1)")
    start.add_argument("--script-root", type=Path, help="directory of host.json (default: here, or above)")
    start.add_argument("--functions", nargs="+", default=[], metavar="NAME", help="run only these functions")
    start.add_argument("--cors", metavar="ORIGINS", help="origins that may call from a browser: a,b or *")
    start.add_argument("--cors-credentials", action="store_true", help="let browsers send their credentials")
    start.add_argument(
        "-t", "--timeout", type=int, default=20, help="say so when it starts for longer (default: 20 seconds)"
    )
    start.add_argument("--enable-auth", "--enableAuth", action="store_true", help="ask callers for keys")
    start.add_argument("--verbose", action="store_true", help="log everything")
    _add_own(start)
    _add_ignored(start)
    return parser


def _add_own(start: argparse.ArgumentParser) -> None:
    start.add_argument(
        "--data-dir", type=Path, help="place of the task hub (default: <script-root>/.devhost)"
    )
    start.add_argument(
        "--shares-hub", action="store_true", help="beside other such processes on the same data directory"
    )
    start.add_argument("--watch", action="store_true", help="restart the app when one of its files changes")


def _add_ignored(start: argparse.ArgumentParser) -> None:
    start.add_argument("--python", action="store_true", help="stands for FUNCTIONS_WORKER_RUNTIME=python")
    for flag in _IGNORED_WITH_VALUE:
        start.add_argument(flag, help=argparse.SUPPRESS)
    for flag in _IGNORED:
        start.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    for flag in (*_OTHERS, "--useHttps", "--use-https"):
        start.add_argument(flag, action=_Refused, nargs=0, help=argparse.SUPPRESS)


class _Refused(argparse.Action):
    """What would run something else than the caller asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> None:
        given = "/".join(self.option_strings)
        parser.error(f"{given} is not supported: devhost runs Python apps, over HTTP without TLS.")
