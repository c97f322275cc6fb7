"""The value of a durableClient binding, and the URLs of one instance in it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote_plus

from azure.functions.meta import Datum

from devhost.app_settings import app_setting
from devhost.indexing.function_binding import Binding

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
RPC_PATH = "/durabletask"
DEFAULT_CONNECTION = "Storage"  # the connection's name in URLs; the hub itself lies in a file
_EVERYWHERE = {"": "127.0.0.1", "localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (compared)
_KEPT_IN_URLS = "!*()"


@dataclass(frozen=True, slots=True)
class DurableClientUrls:
    """Where the management API of one hub is reached; `key` is the system key of its webhooks."""

    hub_name: str
    port: int
    address: str = "127.0.0.1"
    key: str | Callable[[], str] = "devhost"  # asked for anew each time when it may be changed

    def _base(self) -> str:
        host = app_setting("WEBSITE_HOSTNAME") or f"localhost:{self.port}"
        scheme = "http" if host.startswith("localhost:") else "https"
        return f"{scheme}://{host}{WEBHOOK_PATH}"

    def _code(self) -> str:
        return f"code={_escaped(self.key() if callable(self.key) else self.key)}"

    def _rpc_base(self) -> str:
        host = _EVERYWHERE.get(self.address, self.address)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}{RPC_PATH}/"

    def management_urls(
        self,
        instance_id: str,
        base: str | None = None,
        *,
        task_hub: str | None = None,
        connection: str | None = None,
    ) -> dict[str, str]:
        """The management payload of one instance; `base` replaces this host's own webhook URL."""
        hub, storage = _escaped(task_hub or self.hub_name), _escaped(connection or DEFAULT_CONNECTION)
        query = f"taskHub={hub}&connection={storage}&{self._code()}"
        instance = f"{base or self._base()}/instances/{_escaped(instance_id)}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{query}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{query}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{query}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{query}",
            "purgeHistoryDeleteUri": f"{instance}?{query}",
            "restartPostUri": f"{instance}/restart?{query}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{query}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{query}",
        }

    def binding_json(self, task_hub: str | None = None, connection: str | None = None) -> str:
        """JSON text that the SDK's client is made of."""
        create = f"{self._base()}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        value = {
            "taskHubName": task_hub or self.hub_name,
            "connectionName": connection,
            "creationUrls": {
                "createNewInstancePostUri": f"{create}?{self._code()}",
                "createAndWaitOnNewInstancePostUri": f"{create}?{wait}&{self._code()}",
            },
            "managementUrls": self.management_urls("INSTANCEID", task_hub=task_hub, connection=connection),
            "baseUrl": self._base(),
            "requiredQueryStringParameters": self._code(),
            "rpcBaseUrl": self._rpc_base(),
            "httpBaseUrl": None,
        }
        return json.dumps(value)

    def client_datum(self, binding: Binding) -> Datum:
        """Value of one durableClient parameter."""
        properties = binding.properties
        return Datum(self.binding_json(properties.get("taskHub"), properties.get("connectionName")), "string")


def _escaped(text: str) -> str:
    """Escaped as the real host does it: a space is a plus sign."""
    return quote_plus(text, safe=_KEPT_IN_URLS)
