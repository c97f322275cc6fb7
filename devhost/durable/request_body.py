"""The body of a request to the management API, as text and as JSON."""

import re

from aiohttp import web

from devhost.durable.management_answer import Refused, bad_argument, invalid_json
from devhost.durable.stored_json import JsonRefused, read_json

FORBIDDEN_IN_ID = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")  # of an instance or the key of an entity
LARGEST_BODY_BYTES = 104_857_600  # what the real host's server takes


async def body_text(request: web.Request) -> str:
    """The body without surrounding space. Raises Refused (400) when it is too large or no text."""
    if (request.content_length or 0) > LARGEST_BODY_BYTES:
        raise Refused(bad_argument(f"The body is larger than {LARGEST_BODY_BYTES} bytes."))
    try:
        return (await request.text()).strip()
    except web.HTTPRequestEntityTooLarge:  # sent in chunks, so its length was not known
        raise Refused(bad_argument(f"The body is larger than {LARGEST_BODY_BYTES} bytes.")) from None
    except (UnicodeDecodeError, LookupError):  # LookupError: no such charset
        raise Refused(bad_argument("The body is no text in the charset that it names (UTF-8).")) from None


async def json_text(request: web.Request) -> str:
    """The body, which is JSON or empty. Raises Refused (400)."""
    text = await body_text(request)
    if text:
        try:
            read_json(text)
        except JsonRefused as error:
            raise Refused(invalid_json(str(error))) from None
    return text


def flag(request: web.Request, name: str, *, default: bool = False) -> bool:
    """A boolean of the query; what is neither true nor false counts as not given."""
    value = (parameter(request, name) or "").strip().lower()
    return value == "true" if value in ("true", "false") else default


def parameter(request: web.Request, name: str) -> str | None:
    """A value of the query, its name in any case; several values are joined by a comma, as in .NET."""
    values = [value for key, value in request.query.items() if key.lower() == name.lower()]
    return ",".join(values) if values else None
