"""`python -m local run|demo|send|callback`: the commands of the local stack."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from agent.callbacks import REPORT_NAMES
from local.functions_host import ROOT
from local.ports import Ports, answers
from local.processes import StackError


def main(arguments: list[str]) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "run":
            return _run(chosen)
        if chosen.command == "demo":
            return _demo()
        if chosen.command == "callback":
            return _callback(chosen)
        return _send(chosen)
    except StackError as error:
        print(f"{error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="start Azurite, devhost and the Playground, until Ctrl-C")
    run.add_argument("--data-dir", type=Path, help="where storage and logs are kept (default: .local)")
    commands.add_parser("demo", help="play the main job on a stack of its own and print the transcript")
    send = commands.add_parser("send", help="put a proactive message on the queue")
    send.add_argument("text")
    callback = commands.add_parser("callback", help="sign a URL by which a job is reported on, for an hour")
    callback.add_argument("job_id")
    callback.add_argument("name", choices=REPORT_NAMES)
    return parser


# A command's modules are imported when it is chosen: the storage SDK is slow to import, and `run` needs none.


def _run(chosen: argparse.Namespace) -> int:
    from local.run import run  # noqa: PLC0415

    data = chosen.data_dir.resolve() if chosen.data_dir else ROOT / ".local"
    task_hub = data / "devhost" if chosen.data_dir else ROOT / ".devhost"
    return run(Ports.from_environment(), data, task_hub)


def _demo() -> int:
    from local.demo import demo  # noqa: PLC0415

    try:
        return asyncio.run(demo())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nStopped before the end.", file=sys.stderr)
        return 1


def _callback(chosen: argparse.Namespace) -> int:
    from local.callback import callback_url  # noqa: PLC0415
    from local.settings_file import SETTINGS_FILE, values_of  # noqa: PLC0415

    ports, settings = Ports.from_environment(), values_of(SETTINGS_FILE)
    print(callback_url(chosen.job_id, chosen.name, ports=ports, settings=settings))
    return 0


def _send(chosen: argparse.Namespace) -> int:
    from local.azurite import connection_string  # noqa: PLC0415
    from local.send import send  # noqa: PLC0415
    from local.settings_file import SETTINGS_FILE, values_of  # noqa: PLC0415

    logging.getLogger("azure").addHandler(logging.NullHandler())  # what it warns of is in our one line
    ports = Ports.from_environment()
    settings = values_of(SETTINGS_FILE)
    if not answers(ports.azurite_queue_port):
        raise StackError(
            f"No queue on port {ports.azurite_queue_port}: start the stack first, with `make run`"
        )
    delivery_id = send(chosen.text, connection_string=connection_string(ports), settings=settings)
    print(f"On the queue, delivery {delivery_id}.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
