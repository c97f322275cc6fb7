"""Cross-origin requests: which pages of other origins may call the host, and their preflights."""

from collections.abc import Sequence

from aiohttp import hdrs, web

from devhost.errors import HostStartError


class CorsPolicy:
    """Any method and any header, from the given origins; `*` is every origin.

    Raises HostStartError on `*` together with credentials, which no browser would accept.
    """

    def __init__(self, origins: Sequence[str], *, allows_credentials: bool) -> None:
        self._origins = {origin.strip().rstrip("/").lower() for origin in origins if origin.strip()}
        self._allows_credentials = allows_credentials
        self._is_for_all = "*" in self._origins
        if self._is_for_all and allows_credentials:
            raise HostStartError(
                "CORS: credentials cannot be allowed for every origin (*); name the origins instead."
            )

    def preflight(self, request: web.BaseRequest) -> web.Response | None:
        """The answer to a preflight; None when the request is none."""
        wanted_method = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD)
        if request.method != hdrs.METH_OPTIONS or wanted_method is None or hdrs.ORIGIN not in request.headers:
            return None
        answer = web.Response(status=204)
        if self._allows(request):
            self.mark(request, answer)
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = wanted_method
            wanted_headers = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS)
            if wanted_headers:
                answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = wanted_headers
        return answer

    def mark(self, request: web.BaseRequest, answer: web.StreamResponse) -> None:
        """Let the browser hand the answer to the page, when the page's origin is one of ours."""
        if not self._allows(request):
            return
        origin = request.headers[hdrs.ORIGIN]
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*" if self._is_for_all else origin
        if self._allows_credentials:
            answer.headers[hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS] = "true"
        if len(self._origins) > 1 and not self._is_for_all:
            answer.headers.add(hdrs.VARY, hdrs.ORIGIN)

    def _allows(self, request: web.BaseRequest) -> bool:
        origin = request.headers.get(hdrs.ORIGIN, "")
        return bool(origin) and (self._is_for_all or origin.lower() in self._origins)
