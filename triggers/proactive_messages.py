"""Messages that nobody asked for just now: the queue, its poison queue, and /api/notifications."""

import json
import logging
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func
import msgspec

from agent.proactive_delivery import accept, deliver_or_put_back, told
from agent.proactive_message import UnusableMessage, parse_proactive_message
from agent.undelivered import close_undelivered, note_unusable
from composition import services
from triggers.problem import problem

blueprint = df.Blueprint()
log = logging.getLogger(__name__)

QUEUE = "%ProactiveMessagesQueue%"
STORAGE = "AzureWebJobsStorage"
# Bytes. Azure Queue Storage takes 64 KiB ("Put Message"); a message that is put back says how long it waits.
MAX_QUEUE_MESSAGE = 63 * 1024


@blueprint.queue_trigger(arg_name="queued", queue_name=QUEUE, connection=STORAGE)
async def deliver_proactive_message(queued: func.QueueMessage) -> None:
    """Deliver one message. What raises is retried by the host, and ends in the poison queue."""
    ports = services()
    body = queued.get_body()
    try:
        message = parse_proactive_message(body)
    except UnusableMessage as error:
        await note_unusable(body, error, ledger=ports.ledger, clock=ports.clock)
        raise
    record = await deliver_or_put_back(message, queue=ports.proactive_queue, services=ports)
    log.info("Delivery %s is %s. %s", record.delivery_id, record.state, record.reason)


@blueprint.queue_trigger(arg_name="queued", queue_name=f"{QUEUE}-poison", connection=STORAGE)
async def close_undelivered_message(queued: func.QueueMessage) -> None:
    """Close the record of a message that could not be delivered; its body stays in the record."""
    ports = services()
    record = await close_undelivered(queued.get_body(), ledger=ports.ledger, clock=ports.clock)
    log.error("Delivery %s ended as %s: %s", record.delivery_id, record.state, record.reason)


@blueprint.route("notifications", methods=["POST"], auth_level=func.AuthLevel.FUNCTION)
@blueprint.queue_output(arg_name="outbox", queue_name=QUEUE, connection=STORAGE)
async def accept_notification(req: func.HttpRequest, outbox: func.Out[str]) -> func.HttpResponse:
    """Put a proactive message on the queue, unless its delivery has ended: 202 with delivery id and state.

    400 or 413 with the reason for what is no such message.
    """
    body = req.get_body()
    if len(body) > MAX_QUEUE_MESSAGE:
        return problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a message may have {MAX_QUEUE_MESSAGE} bytes at most"
        )
    try:
        message = parse_proactive_message(body)
    except UnusableMessage as error:
        return problem(HTTPStatus.BAD_REQUEST, str(error))
    ports = services()
    record = await accept(message, ledger=ports.ledger, clock=ports.clock)
    if not record.has_ended:
        outbox.set(body.decode())
    accepted = json.dumps({"deliveryId": message.delivery_id, "state": record.state})
    return func.HttpResponse(accepted, status_code=202, mimetype="application/json")


@blueprint.route("notifications/{deliveryId}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
async def tell_delivery(req: func.HttpRequest) -> func.HttpResponse:
    """What became of a delivery: 200 with its record, but not its message; 404 for an unknown id."""
    record = await services().ledger.read(req.route_params["deliveryId"])
    if record is None:
        return problem(HTTPStatus.NOT_FOUND, "no delivery of this id is known, or it is forgotten")
    return func.HttpResponse(msgspec.json.encode(told(record)), mimetype="application/json")
