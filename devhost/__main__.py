"""The command line: `python -m devhost start`."""

import faulthandler
import logging
import os
import sys

from devhost.command.arguments import read_arguments
from devhost.command.start import start
from devhost.stop_signal import StopSignal


def main(argv: list[str]) -> int:
    """Run the command line; returns the exit code."""
    arguments = read_arguments(argv)
    # The app runs in this process: a fault of a C extension takes it down, and has to leave a trace.
    faulthandler.enable()
    stop_signal = StopSignal()
    stop_signal.listen()
    return start(arguments, stop_signal)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    # A synchronous function that ran over its time would keep the interpreter waiting for its thread.
    os._exit(code)
