"""HTTP POST /api/messages: a turn begins."""

import json
import logging
from functools import partial
from http import HTTPStatus

import azure.durable_functions as df
import azure.functions as func

from agent.incoming import LARGEST_TURN, BadTurn, parse_incoming
from agent.ports import ChannelError, KeysUnavailable, NotAuthenticated, NotAuthorized
from agent.turn_budget import budget_of
from agent.turn_claim import TurnInProgress, TurnResponse
from agent.turn_replies import TurnReplies
from agent.turns import take_turn
from composition import services
from orchestrators.starting import cancel_job, start_job, wake_job
from triggers.problem import problem

blueprint = df.Blueprint()
log = logging.getLogger(__name__)

REFUSALS: dict[type[Exception], HTTPStatus] = {
    BadTurn: HTTPStatus.BAD_REQUEST,
    NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    NotAuthorized: HTTPStatus.FORBIDDEN,
    KeysUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    TurnInProgress: HTTPStatus.SERVICE_UNAVAILABLE,
}


@blueprint.route("messages", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@blueprint.durable_client_input(client_name="durable_client")
async def answer_turn(
    req: func.HttpRequest, durable_client: df.DurableOrchestrationClient
) -> func.HttpResponse:
    """Take one turn of the channel: 200, with a body for invokes and expected replies.

    400 and 413 for what is no channel activity, 401 and 403 for what the channel did not sign, 502 when the
    reply did not get through, 503 while another delivery of the turn is at work, or when this one took too
    long; the channel delivers a turn again that was not answered with success.
    """
    ports = services()
    arrived = ports.clock.now()
    body = req.get_body()
    if len(body) > LARGEST_TURN:
        return problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a turn may have {LARGEST_TURN} bytes at most")
    try:
        caller = await ports.token_validator.authenticate(req.headers.get("Authorization"))
        raw, incoming = parse_incoming(body)
        caller.admit(
            channel_id=incoming.channel_id, service_url=incoming.service_url, tenants=incoming.tenants
        )
        budget = budget_of(incoming, arrived=arrived, lasts=ports.turn_budget)
        # The bot and its SDK are imported at the first turn: nothing else needs them, strangers least.
        from agent.bot import Bot

        async def answer(replies: TurnReplies) -> TurnResponse | None:
            bot = Bot(
                incoming,
                replies,
                start_job=partial(start_job, durable_client),
                cancel_job=partial(cancel_job, durable_client),
                wake_job=partial(wake_job, durable_client),
                services=ports,
            )
            return await ports.bot_runner.process(raw, bot, replies=replies)

        response = await take_turn(
            incoming,
            budget=budget,
            answer=answer,
            services=ports,
        )
    except tuple(REFUSALS) as error:
        log.info("A turn was refused: %s: %s", type(error).__name__, error)
        return problem(REFUSALS[type(error)], str(error))
    except TimeoutError:
        log.warning("Turn %s took too long and was given up; its next delivery goes on", incoming.turn_key)
        return problem(HTTPStatus.SERVICE_UNAVAILABLE, "the turn took too long")
    except ChannelError as error:
        log.warning("The reply to turn %s did not get through: %s", incoming.turn_key, error)
        return problem(HTTPStatus.BAD_GATEWAY, "the reply could not be sent to the channel")
    return _http_response(response)


def _http_response(response: TurnResponse | None) -> func.HttpResponse:
    if response is None or response.body is None:
        return func.HttpResponse(status_code=response.status if response else 200)
    return func.HttpResponse(
        json.dumps(response.body), status_code=response.status, mimetype="application/json"
    )
