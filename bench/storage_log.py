"""What was asked of Azurite, by its debug log: a line of each request names service and resource."""

import re
from collections import Counter

REQUEST = re.compile(
    r"^(\S+Z) \S+ info: (\w+?)StorageContextMiddleware: RequestMethod=(\w+) "
    r"RequestURL=http://[^/]+/devstoreaccount1/([^?( ]*)",
    re.MULTILINE,
)
POLL = ("Queue", "GET")  # nothing of a follow-up reads a queue: only a host that looks for messages does


def requests_in(log: str, *, since: str, until: str) -> Counter[tuple[str, str, str]]:
    """Service, method and resource of each request between two moments, as often as it was made.

    The moments are texts of ISO 8601 in UTC with milliseconds, as in the log. Polls of queues are left out.
    """
    return Counter(
        (service, method, resource.strip("/").partition("/")[0])
        for at, service, method, resource in REQUEST.findall(log)
        if since <= at < until and (service, method) != POLL
    )
