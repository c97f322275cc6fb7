"""The files of the page, as they are sent: no build, nothing from elsewhere."""

from pathlib import Path

from aiohttp import web

_DIRECTORY = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
SAFETY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def static_file(name: str) -> web.Response | None:
    """The response with one of the page's files, or None when it has no such file."""
    known = {path.name: path for path in _DIRECTORY.iterdir() if path.suffix in _TYPES}
    path = known.get(name)  # looked up by name, so no path leads out of the directory
    if path is None:
        return None
    return web.Response(
        body=path.read_bytes(), content_type=_TYPES[path.suffix], charset="utf-8", headers=SAFETY_HEADERS
    )
