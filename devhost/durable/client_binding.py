"""The value of a durableClient binding, and the URLs of one instance in it."""

import json
from dataclasses import dataclass
from urllib.parse import quote

from azure.functions.meta import Datum

from devhost.indexing.function_binding import Binding

WEBHOOK_PATH = "/runtime/webhooks/durabletask"
RPC_PATH = "/durabletask"


@dataclass(frozen=True, slots=True)
class DurableClientUrls:
    """Where the management API of one hub is reached."""

    hub_name: str
    port: int
    address: str = "127.0.0.1"

    def _base(self) -> str:
        return f"http://localhost:{self.port}{WEBHOOK_PATH}"

    def _rpc_host(self) -> str:
        return "127.0.0.1" if self.address in ("0.0.0.0", "localhost", "") else self.address  # noqa: S104 (compared)

    def management_urls(self, instance_id: str, base: str | None = None) -> dict[str, str]:
        """The management payload of one instance."""
        query = f"taskHub={self.hub_name}&connection=Storage&code=devhost"
        instance = f"{base or self._base()}/instances/{quote(instance_id, safe='')}"
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
        value = {
            "taskHubName": task_hub or self.hub_name,
            "connectionName": connection,
            "creationUrls": {
                "createNewInstancePostUri": f"{create}?code=devhost",
                "createAndWaitOnNewInstancePostUri": (
                    f"{create}?timeout={{timeoutInSeconds}}&pollingInterval={{intervalInSeconds}}&code=devhost"
                ),
            },
            "managementUrls": self.management_urls("INSTANCEID"),
            "baseUrl": self._base(),
            "requiredQueryStringParameters": "code=devhost",
            "rpcBaseUrl": f"http://{self._rpc_host()}:{self.port}{RPC_PATH}/",
            "httpBaseUrl": None,
        }
        return json.dumps(value)

    def client_datum(self, binding: Binding) -> Datum:
        """Value of one durableClient parameter."""
        properties = binding.properties
        return Datum(self.binding_json(properties.get("taskHub"), properties.get("connectionName")), "string")
