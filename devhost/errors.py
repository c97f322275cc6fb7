"""What stops the whole host, and what stops one function."""


class HostStartError(Exception):
    """The host cannot start; the message is the one line that the developer sees."""


class AppLoadError(Exception):
    """The app does not index; the host stays up without functions and logs this reason."""


class FunctionRefused(Exception):
    """One function is in error; the host runs the others and logs this reason."""


def port_unavailable(port: int) -> HostStartError:
    """func's own sentence, which harnesses look for."""
    return HostStartError(
        f"Port {port} is unavailable. Close the process using that port, "
        "or specify another port using --port [-p]."
    )
