"""What the system that does a job's work reports of it."""

from datetime import datetime
from typing import Any

import msgspec

from agent.callbacks import ReportName
from agent.json_depth import DEEPEST, is_nested_deeper

LARGEST_REPORT = 16 * 1024  # bytes; a column of a table holds 64 KiB
NOTHING = b"{}"


class BadReport(Exception):
    """The body is no report; the message says why, without what it holds."""


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """The newest report of one name. ``content`` is its JSON object, as it came."""

    job_id: str
    name: ReportName
    reported_at: datetime
    content: bytes = NOTHING

    @property
    def body(self) -> dict[str, Any]:
        """What was reported, as the sender said it: it was signed for, but nothing in it was checked."""
        body: dict[str, Any] = msgspec.json.decode(self.content)
        return body


def parse_content(body: bytes) -> bytes:
    """The content of a report from an HTTP body: a JSON object, or nothing. Raises BadReport."""
    content = body.strip() or NOTHING
    if is_nested_deeper(content):
        raise BadReport(f"the body is nested deeper than {DEEPEST} levels")
    try:
        msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadReport("the body is neither a JSON object nor empty") from None
    return content
