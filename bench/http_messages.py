"""HTTP/1.1 messages cut out of a stream of bytes: as much as the bench's two ends need, and fast."""

import re

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class NotUnderstood(Exception):
    """The message is of a form that no program under test is known to send."""


def cut(received: bytes) -> tuple[bytes, bytes, bytes] | None:
    """The first message's head and body, and what is left; None while it is not all there.

    Raises NotUnderstood for a chunked body: none of the programs sends one.
    """
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = received[:end]
    if CHUNKED.search(head):
        raise NotUnderstood("a chunked body")
    length = LENGTH.search(head)
    stop = end + 4 + (int(length[1]) if length else 0)
    if len(received) < stop:
        return None
    return head, received[end + 4 : stop], received[stop:]


def status_of(head: bytes) -> int:
    """The status code of a response."""
    return int(head[9:12])


def wants_to_close(head: bytes) -> bool:
    return b"\r\nconnection: close" in head.lower()
