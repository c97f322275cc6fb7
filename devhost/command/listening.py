"""The port: bound before anything of the app is touched, and kept while the app is restarted."""

import socket

from devhost.errors import HostStartError, port_unavailable

_BACKLOG = 128


def taken_over(inherited: str | None) -> socket.socket | None:
    """The socket that the process image before this one has left, by the number of its file."""
    if not inherited:
        return None
    listener = socket.socket(fileno=int(inherited))
    listener.set_inheritable(False)
    return listener


def listening_socket(address: str, port: int, kept: socket.socket | None) -> socket.socket:
    """Listen on a port; `kept` is taken when it does already. Raises HostStartError."""
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError):
        raise HostStartError(f"'{address}' is no address to listen on.") from None
    if kept is not None:
        if kept.getsockname()[:2] == place[:2]:
            return kept
        kept.close()
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise port_unavailable(port) from None
    return listener
