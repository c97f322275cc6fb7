"""botbuilder's BotAdapter on our connector: JSON on our side, Activity on botbuilder's."""

from typing import Any

from botbuilder.core import ActivityHandler, BotAdapter, TurnContext
from botbuilder.schema import (
    Activity,
    ActivityTypes,
    ConversationAccount,
    ConversationReference,
    ResourceResponse,
)
from msrest.serialization import Model

from adapters.model_codec import DoesNotFit, read, write
from adapters.model_copy import copied
from agent.conversation import Place
from agent.incoming import BadTurn, entra_id
from agent.ports import Connector, Replies
from agent.turn_claim import TurnResponse

REPLIES = "afterword.replies"  # the key in a turn's state


class ConnectorBotAdapter(BotAdapter):
    """Runs a bot's turn; what the bot sends goes out through the connector.

    An invoke's response and expected replies are not sent but returned, for the HTTP response
    (Bot Framework activity schema, sections "Invoke activity" and "Delivery mode").
    """

    def __init__(self, *, connector: Connector) -> None:
        super().__init__()
        self._connector = connector

    async def process(
        self, incoming: dict[str, Any], bot: ActivityHandler, *, replies: Replies
    ) -> TurnResponse | None:
        """Run the turn of this incoming activity. Raises BadTurn, and what bot and connector raise."""
        turn_context = _Turn(self, _to_botbuilder(incoming))
        turn_context.turn_state[REPLIES] = replies
        await self.run_pipeline(turn_context, bot.on_turn)
        if turn_context.activity.type == ActivityTypes.invoke:
            return _invoke_response(turn_context)
        if turn_context.activity.delivery_mode == "expectReplies":
            buffered = [write(reply) for reply in turn_context.buffered_reply_activities]
            return TurnResponse(200, {"activities": buffered})
        return None

    async def send_activities(
        self, context: TurnContext, activities: list[Activity]
    ) -> list[ResourceResponse]:
        return [await self._send(context, outgoing) for outgoing in activities]

    async def _send(self, turn_context: TurnContext, outgoing: Activity) -> ResourceResponse:
        if outgoing.type == ActivityTypes.invoke_response:
            turn_context.turn_state[BotAdapter._INVOKE_RESPONSE_KEY] = outgoing
            return ResourceResponse()
        if outgoing.type == ActivityTypes.trace:  # meant for the Bot Framework Emulator alone
            return ResourceResponse()
        sent_id = await turn_context.turn_state[REPLIES].send(
            write(outgoing), at=_place_of(outgoing), reply_to_id=outgoing.reply_to_id
        )
        return ResourceResponse(id=sent_id)

    async def update_activity(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        await self._connector.update(write(activity), at=_place_of(activity), activity_id=activity.id)
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        await self._connector.delete(at=_place_of(reference), activity_id=reference.activity_id)


class _Turn(TurnContext):
    """TurnContext deep-copies each activity before it sends it: here that costs a fraction."""

    async def send_activities(self, activities: list[Activity]) -> list[ResourceResponse]:
        sent: list[ResourceResponse] = await super().send_activities([_Outgoing(made) for made in activities])
        return sent


class _Outgoing:
    """What a bot has made, on its way into TurnContext, which asks it for nothing but a deep copy."""

    def __init__(self, made: Activity) -> None:
        self._made = made

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return copied(self._made)


def _place_of(spoken: Activity | ConversationReference) -> Place:
    return Place(
        service_url=spoken.service_url,
        conversation_id=spoken.conversation.id,
        tenant_id=_tenant_of(spoken.conversation),
    )


def _tenant_of(conversation: ConversationAccount) -> str | None:
    """botbuilder knows the tenant as ``tenantID`` alone; the channel says ``tenantId``."""
    tenant_id: str | None = conversation.tenant_id or conversation.additional_properties.get("tenantId")
    return entra_id(tenant_id) if tenant_id else None


def _to_botbuilder(incoming: dict[str, Any]) -> Activity:
    try:
        return read(Activity, incoming)
    except DoesNotFit as misfit:
        raise BadTurn(f"The body is not a channel activity: {misfit}") from None


def _invoke_response(turn_context: TurnContext) -> TurnResponse:
    sent = turn_context.turn_state.get(BotAdapter._INVOKE_RESPONSE_KEY)
    if sent is None:
        return TurnResponse(501)
    body = sent.value.body
    return TurnResponse(int(sent.value.status), write(body) if isinstance(body, Model) else body)
