"""Looking at instances, and purging them, through the management API."""

import asyncio

from aiohttp import web

from devhost.durable.history import Status
from devhost.durable.history_view import history_view
from devhost.durable.instance_filter import InstanceFilter, place_of, read_token, write_token
from devhost.durable.instance_view import instance_view
from devhost.durable.management_answer import bad_argument, empty, json_answer
from devhost.durable.request_body import flag
from devhost.durable.task_hub import TaskHub

TOKEN_HEADER = "x-ms-continuation-token"  # noqa: S105 (a header's name)
_PURGE_BATCH = 200


class InstanceQueries:
    """Answers GET and DELETE below `instances`."""

    def __init__(self, hub: TaskHub) -> None:
        self._hub = hub

    def status(self, request: web.Request, instance_id: str) -> web.Response:
        """202 while the instance goes on, 200 when it has ended, 404 when there is none."""
        instance = self._hub.instance(instance_id)
        if instance is None:
            return empty(404)
        show_input = flag(request, "showInput", default=True)
        view = instance_view(instance, show_input=show_input)
        if flag(request, "showHistory") and instance.status != Status.PENDING:
            view["historyEvents"] = history_view(
                self._hub.history(instance_id),
                show_input=show_input,
                show_output=flag(request, "showHistoryOutput"),
            )
        if not instance.status.is_final:
            location = f"{request.scheme}://{request.host}{request.raw_path}"
            return json_answer(view, status=202, headers={"Location": location, "Retry-After": "5"})
        is_error = instance.status == Status.FAILED and flag(request, "returnInternalServerErrorOnFailure")
        return json_answer(view, status=500 if is_error else 200)

    def list(self, request: web.Request) -> web.Response:
        """A page of the instances that fit, oldest first; a header carries on to the next page."""
        wanted = InstanceFilter.from_query(request.query)
        try:
            after = read_token(request.headers.get(TOKEN_HEADER, ""))
        except ValueError as error:
            return bad_argument(str(error))
        found = self._hub.instances(wanted, after=after, limit=wanted.top + 1)
        page = found[: wanted.top]
        show_input = flag(request, "showInput", default=True)
        views = [instance_view(instance, show_input=show_input) for instance in page]
        token = write_token(page[-1]) if len(found) > len(page) else ""
        return json_answer(views, headers={TOKEN_HEADER: token})

    def purge_one(self, instance_id: str) -> web.Response:
        """Forget an ended instance; 404 when there is none, or it has not ended."""
        deleted = self._hub.purge([instance_id])
        return json_answer({"instancesDeleted": deleted}) if deleted else empty(404)

    async def purge_many(self, request: web.Request) -> web.Response:
        """Forget the ended instances that fit; `createdTimeFrom` must be given."""
        wanted = InstanceFilter.from_query(request.query)
        if wanted.created_from is None:
            return json_answer("Please provide value for 'createdTimeFrom' parameter.", status=400)
        deleted, after = 0, ("", "")
        while batch := self._hub.instances(wanted, after=after, limit=_PURGE_BATCH):
            deleted += self._hub.purge([instance.instance_id for instance in batch])
            after = place_of(batch[-1])
            await asyncio.sleep(0)  # let others on the loop have their turn
        return json_answer({"instancesDeleted": deleted}) if deleted else empty(404)
