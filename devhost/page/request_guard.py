"""Who may use the page: nobody through another site's page; with --enable-auth, who has the master key."""

import hmac
import ipaddress
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web

PAGE_HEADER = "X-Devhost-Page"
KEY_HEADER = "x-functions-key"


class RequestGuard:
    """Checks one request. `address` is what the host listens on; `master_key` gives the key, if any."""

    def __init__(self, address: str, master_key: Callable[[], str | None]) -> None:
        self._address, self._master_key = address.lower(), master_key

    def refusal_of_page(self, request: web.Request) -> str | None:
        """Why the page itself is not shown, or None.

        A name that somebody else's DNS can point at this machine is not taken for ours (DNS rebinding).
        """
        name = _host_name(request.headers.get("Host", ""))
        if name == "localhost" or name.endswith(".localhost") or name == self._address or _is_ip(name):
            return None
        return "The Host header names neither this machine nor the address that devhost listens on."

    def refusal_of_call(self, request: web.Request) -> str | None:
        """Why a call of the page's API is refused, or None.

        No other site's page can set the header without asking first, which nothing answers for it; what the
        browser tells of the origin is checked beside it.
        """
        refusal = self.refusal_of_page(request)
        if refusal is not None:
            return refusal
        if PAGE_HEADER not in request.headers:
            return f"The header {PAGE_HEADER} is missing."
        if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
            return "The call comes from another site's page."
        origin = request.headers.get("Origin")
        own = request.headers.get("Host", "").lower()
        if origin is not None and origin.lower() not in (f"http://{own}", f"https://{own}"):
            return "The call comes from another origin."
        return None

    def has_key(self, request: web.Request) -> bool:
        """Whether the call has the master key, where one is asked for."""
        wanted = self._master_key()
        given = request.headers.get(KEY_HEADER, "")
        return wanted is None or hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _host_name(host: str) -> str:
    """The name in a Host header, without its port; empty when it cannot be read."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
