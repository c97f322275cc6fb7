"""How an orchestration waits for the end of what an HTTP request began: 202 and where to ask again.

Each request and each pause takes an id of the orchestration, as on the real host.
"""

import json
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from devhost.durable.http_call import HTTP_ACTIVITY
from devhost.durable.replay_context import ReplayContext
from devhost.durable.replay_task import ReplayTask

HttpRequest = dict[str, Any]
USUAL_PAUSE = timedelta(seconds=30)


class HttpPolling:
    """Sends one request, and goes on asking while the answer is 202 and the request wants that.

    SDK 1.7 never wants it, for it does not send `asynchronousPatternEnabled`: its apps get the 202.
    """

    def __init__(self, context: ReplayContext, pause: timedelta) -> None:
        """`pause` is how long to wait where an answer does not say it."""
        self._context, self._pause = context, pause

    def send(self, request: HttpRequest) -> ReplayTask:
        """Send it; the task ends with its last answer."""
        if not request.get("asynchronousPatternEnabled"):
            return self._schedule(request)
        whole = ReplayTask()
        self._send_until_done(request, whole)
        return whole

    def _schedule(self, request: HttpRequest) -> ReplayTask:
        return self._context.schedule(HTTP_ACTIVITY, json.dumps(request, ensure_ascii=False))

    def _send_until_done(self, request: HttpRequest, whole: ReplayTask) -> None:
        task = self._schedule(request)
        task.then(lambda: self._take_answer(request, task, whole))

    def _take_answer(self, request: HttpRequest, task: ReplayTask, whole: ReplayTask) -> None:
        answer = {} if task.failed else json.loads(task.result or "{}")
        headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
        location = headers.get("location")
        if answer.get("statusCode") != 202 or not isinstance(location, str):
            whole.end(failed=task.failed, result=task.result)
            return
        timer = self._context.create_timer(self._ask_again_at(headers.get("retry-after")))
        timer.then(lambda: self._send_until_done(_next_request(request, location), whole))

    def _ask_again_at(self, retry_after: object) -> datetime:
        """The moment that Retry-After names, by seconds or as a date."""
        now = self._context.now
        try:
            text = str(retry_after or "").strip()
            if text.isdecimal():
                return now + timedelta(seconds=int(text))
            moment = parsedate_to_datetime(text)
            return max(now, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            return now + self._pause


def _next_request(request: HttpRequest, location: str) -> HttpRequest:
    """A GET with the same headers, but for the key of the function that was called first."""
    headers = request.get("headers") or {}
    kept = {name: value for name, value in headers.items() if name.lower() != "x-functions-key"}
    url = urljoin(str(request.get("uri") or ""), location)
    return {**request, "method": "GET", "uri": url, "headers": kept, "content": None}
