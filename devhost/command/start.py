"""`devhost start`: finds the app, reads its settings, runs the host, and gives func's exit codes."""

import asyncio
import logging
import os
import socket
import sys
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from devhost.command.arguments import ERROR, StartArguments
from devhost.command.listening import listening_socket, taken_over
from devhost.command.local_settings import (
    HostSection,
    apply_local_settings,
    origins,
    read_local_settings,
    require_python,
    set_host_variables,
)
from devhost.command.source_watch import SourceWatch, watch_of
from devhost.errors import HostStartError
from devhost.host import Host
from devhost.host_json import HostJson
from devhost.host_log import configure_log, limit_log
from devhost.host_parts import HostOptions
from devhost.log_level import LogLevels
from devhost.stop_signal import StopSignal

logger = logging.getLogger("devhost")
_CANCEL_SECONDS = 0.5
T = TypeVar("T")
_RESTARTED = "DEVHOST_RESTARTED"  # set for the process image that takes over: the socket that it inherits


def start(arguments: StartArguments, stop_signal: StopSignal) -> int:
    """Run the app until a signal comes; returns the exit code: 0, or 1 with one line of why.

    A restart does not return: the process becomes a fresh one, with the same id and the same arguments.
    """
    inherited = os.environ.pop(_RESTARTED, None)
    command = _Command(dict(os.environ), Path.cwd(), stop_signal)
    configure_log(verbose=arguments.verbose)
    kept = taken_over(inherited)
    root = (arguments.script_root or Path()).resolve()
    with suppress(HostStartError):  # a restart waits for a root that is gone for the moment
        root = find_script_root(arguments.script_root)
    # Before a file is read: what changes while the app is loaded counts.
    watch = SourceWatch(root) if arguments.watches else None
    try:
        script_root = find_script_root(arguments.script_root)
        kept = _run(arguments, script_root, kept, stop_signal)
    except HostStartError as reason:
        if kept is not None:
            kept.close()
        if inherited is None or watch is None:
            print(f"devhost cannot start: {reason}", file=sys.stderr)
            return ERROR
        logger.error("The app cannot start; waiting for the next change. %s", reason)
        asyncio.run(watch.changed())
        command.restart(None)
    if kept is not None:
        command.restart(kept)
    return 0


class _Command:
    """How this process was started, before the app and its settings changed anything."""

    def __init__(self, environment: dict[str, str], directory: Path, stop_signal: StopSignal) -> None:
        self._environment, self._directory, self._stop_signal = environment, directory, stop_signal

    def restart(self, listener: socket.socket | None) -> NoReturn:
        """Become a fresh process image with the same id; what was loaded and what hangs is gone.

        A signal that has come meanwhile ends the process instead.
        """
        self._stop_signal.hold_back()
        if listener is not None:
            listener.set_inheritable(True)
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os.chdir(self._directory)
        environment = {**self._environment, _RESTARTED: str(listener.fileno()) if listener else ""}
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606 (itself)


def _run(
    arguments: StartArguments, script_root: Path, kept: socket.socket | None, stop_signal: StopSignal
) -> socket.socket | None:
    """Run the host; returns the listening socket when it ended to be started again. Raises HostStartError."""
    local_settings = read_local_settings(script_root)
    options = _options(arguments, HostSection.read(local_settings), script_root)
    listener = listening_socket(options.address, options.port, kept)
    try:
        apply_local_settings(local_settings)
        require_python(is_python=arguments.is_python)
        set_host_variables(script_root, options.port)
        name_functions(arguments.functions)
        for flag in arguments.ignored:
            logger.warning("%s means nothing to devhost and is ignored.", flag)
        host_json = HostJson.read(script_root)
        levels = LogLevels.read(host_json)
        if not arguments.verbose:
            limit_log(levels)
        for line in host_json.report().lines():
            logger.info("%s", line)
        return _serve(arguments, options, host_json, listener, stop_signal)
    except HostStartError:
        listener.close()
        raise


def _options(arguments: StartArguments, section: HostSection, script_root: Path) -> HostOptions:
    port = section.port if arguments.port is None else arguments.port
    if not 0 < port < 65536:
        raise HostStartError(f"{port!r} is not a port.")
    return HostOptions(
        script_root=script_root,
        data_dir=(arguments.data_dir or script_root / ".devhost").resolve(),
        address=arguments.address or section.address,
        port=port,
        cors=section.cors if arguments.cors is None else origins(arguments.cors),
        cors_credentials=arguments.cors_credentials or section.cors_credentials,
        enable_auth=arguments.enable_auth,
        shares_hub=arguments.shares_hub,
    )


def _serve(
    arguments: StartArguments,
    options: HostOptions,
    host_json: HostJson,
    listener: socket.socket,
    stop_signal: StopSignal,
) -> socket.socket | None:
    watch = watch_of(host_json, options.script_root, options.data_dir) if arguments.watches else None
    late = threading.Timer(arguments.start_seconds, _say_late, [arguments.start_seconds])
    late.daemon = True
    late.start()
    try:
        changed = watch.changed if watch else None
        host = Host(options, host_json, listener, stop_signal, restart_when=changed)
        return _run_to_its_end(host.run(on_started=late.cancel))
    finally:
        late.cancel()


def _run_to_its_end(host: Coroutine[Any, Any, T]) -> T:
    """What `asyncio.run` does, but for its waits without end: for tasks that cannot be cancelled, and for the
    threads of `asyncio.to_thread`. The process is over, or begins anew, in any case.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(host)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=_CANCEL_SECONDS))
        loop.close()


def _say_late(seconds: int) -> None:
    logger.warning("The host has not started within %d seconds (--timeout); it goes on starting.", seconds)


def name_functions(names: Sequence[str]) -> None:
    """Hand `--functions` on as func does: as overrides of the list in host.json, one by its position each."""
    for position, name in enumerate(names):
        os.environ[f"AzureFunctionsJobHost__functions__{position}"] = name


def find_script_root(given: Path | None) -> Path:
    """The directory of the app: the one given, else the nearest one from here upwards that has a host.json.

    Raises HostStartError.
    """
    if given is not None:
        if not given.is_dir():
            raise HostStartError(f"{given.resolve()} is not a directory.")
        return given.resolve()
    here = Path.cwd()
    for directory in (here, *here.parents):
        if (directory / "host.json").is_file():
            return directory
    raise HostStartError("Unable to find project root. Expecting to find host.json in project root.")
