"""The management API of Durable Functions over HTTP, for the SDK's client and for everyone else."""

from urllib.parse import unquote_plus

from aiohttp import web

from devhost.durable.client_binding import RPC_PATH, WEBHOOK_PATH, DurableClientUrls
from devhost.durable.dispatcher import Dispatcher
from devhost.durable.entity_operations import EntityOperations
from devhost.durable.episode import DurableFunctions
from devhost.durable.instance_operations import InstanceOperations
from devhost.durable.instance_queries import InstanceQueries
from devhost.durable.instance_start import InstanceStart
from devhost.durable.management_answer import Refused, empty, message
from devhost.durable.task_hub import TaskHub


class ManagementApi:
    """Routes requests below the webhook and RPC paths; paths are read in any case."""

    def __init__(
        self,
        hub: TaskHub,
        dispatcher: Dispatcher,
        functions: DurableFunctions,
        urls: DurableClientUrls,
        *,
        replaces_active: bool = False,
        uses_forwarded_host: bool = False,
    ) -> None:
        self._starts = InstanceStart(
            hub,
            dispatcher,
            functions,
            urls,
            replaces_active=replaces_active,
            uses_forwarded_host=uses_forwarded_host,
        )
        self._operations = InstanceOperations(hub, dispatcher)
        self._queries = InstanceQueries(hub)
        self._of_entities = EntityOperations(hub, dispatcher, functions)

    def close(self) -> None:
        """Keep no request waiting any longer."""
        self._starts.close()

    async def handle(self, request: web.Request, raw_path: str) -> web.Response | None:
        """Answer, or None when the path is not one of ours."""
        for base in (WEBHOOK_PATH, RPC_PATH):
            if f"{raw_path.lower()}/".startswith(f"{base}/"):
                try:
                    return await self._route(request, _parts(raw_path[len(base) :]))
                except Refused as refused:
                    return refused.response
        return None

    async def _route(self, request: web.Request, parts: list[str]) -> web.Response:
        answer = empty(404)
        match (request.method, parts[0].lower(), parts[1:]):
            case ("POST", "orchestrators", [name]):
                answer = await self._starts.start(request, name)
            case ("POST", "orchestrators", [name, instance_id]):
                answer = await self._starts.start(request, name, instance_id)
            case ("GET", "instances", []):
                answer = self._queries.list(request)
            case ("DELETE", "instances", []):
                answer = await self._queries.purge_many(request)
            case ("GET", "instances", [instance_id]):
                answer = self._queries.status(request, instance_id)
            case ("DELETE", "instances", [instance_id]):
                answer = self._queries.purge_one(instance_id)
            case ("POST", "instances", [instance_id, operation, *rest]):
                answer = await self._post(request, instance_id, operation.lower(), rest)
            case (_, "entities", rest):
                answer = await self._entities(request, rest)
        return answer

    async def _entities(self, request: web.Request, rest: list[str]) -> web.Response:
        match (request.method, rest):
            case ("GET", []):
                return self._of_entities.list(request)
            case ("GET", [name]):
                return self._of_entities.list(request, name)
            case ("GET", [name, key]):
                return self._of_entities.read(name, key)
            case ("POST" | "DELETE", [name, *key]) if len(key) <= 1:
                return await self._of_entities.signal(request, name, "".join(key))
            case ("POST" | "DELETE", []):
                return message(400, "The name of the entity is missing.")
        return empty(404)

    async def _post(
        self, request: web.Request, instance_id: str, operation: str, rest: list[str]
    ) -> web.Response:
        match (operation, rest):
            case ("raiseevent", [name]):
                return await self._operations.raise_event(request, instance_id, name)
            case ("restart", []):
                return await self._starts.restart(request, instance_id)
            case (_, []):
                return await self._operations.run(request, instance_id, operation)
        return empty(404)


def _parts(raw_path: str) -> list[str]:
    """Parts of a path, which is decoded before it is split, as on the real host: `%2F` is a slash.

    An empty part in the middle makes the path one that nothing answers.
    """
    parts = unquote_plus(raw_path).strip("/").split("/")
    return parts if all(parts) else [""]
