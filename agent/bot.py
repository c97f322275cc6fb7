"""What we answer to one incoming channel activity: the botbuilder ActivityHandler, one object a turn."""

import re
from typing import Any

import msgspec
from botbuilder.core import ActivityHandler, InvokeResponse, TurnContext
from botbuilder.schema import Activity, ActivityTypes, Attachment, ChannelAccount, Entity

from agent.answer import ADAPTIVE_CARD, Answer, card
from agent.approval_commands import ApprovalCommands, JobWaker, Replied
from agent.conversation import conversation_of
from agent.incoming import IncomingActivity, derived_key
from agent.job_commands import JobCanceller, JobCommands, WantedJob
from agent.job_taking import JobStarter, JobTaking
from agent.jobs.catalog import JOBS, job_asked_for
from agent.ports import ChannelError, DeliveryAmbiguous, Services
from agent.turn_replies import TurnReplies
from agent.turns import claim_turn

UNKNOWN_BUTTON = {
    "statusCode": 400,
    "type": "application/vnd.microsoft.error",
    "value": {"code": "BadRequest", "message": "The agent does not know what this button asks for."},
}
GREETING = re.compile(r"^(hi|hello|hey|help|start|good (morning|afternoon|evening))\b", re.IGNORECASE)


class Bot(ActivityHandler):
    """Answers one turn, which it has claimed."""

    def __init__(
        self,
        incoming: IncomingActivity,
        replies: TurnReplies,
        *,
        start_job: JobStarter,
        cancel_job: JobCanceller,
        wake_job: JobWaker,
        services: Services,
    ) -> None:
        self._incoming = incoming
        self._services = services
        self._jobs = JobTaking(incoming, replies, start_job=start_job, services=services)
        self._commands = JobCommands(incoming, cancel_job=cancel_job, services=services)
        self._approvals = ApprovalCommands(incoming, wake_job=wake_job, services=services)

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        async def say(answer: Answer) -> str | None:
            sent = await turn_context.send_activity(to_botbuilder(answer))
            activity_id: str | None = sent.id if sent else None
            return activity_id

        wanted = await self._wanted_by_message()
        if isinstance(wanted, WantedJob):
            job = await self._jobs.start(wanted.definition, request=wanted.request)
            await self._jobs.tell(job, say=say)
        else:
            await say(wanted)

    async def _wanted_by_message(self) -> Answer | WantedJob:
        """Commands come before jobs: "cancel my laptop order" must not order a laptop."""
        words, value = self._incoming.words, self._incoming.value
        if replied := await self._approvals.pressed(value):
            return Answer(replied.text)
        if (pressed := await self._wanted_by_button(value)) is not None:
            return pressed
        asked = await self._commands.said(words) or await self._commands.asked_again(words)
        if asked is not None:
            return asked
        if definition := job_asked_for(words, None):
            return WantedJob(definition=definition, request=words)
        return welcome() if GREETING.search(words) else not_understood()

    async def _wanted_by_button(self, data: Any) -> Answer | WantedJob | None:
        """What a pressed button asks for; None where it is none of ours. It may bring a text along."""
        if definition := job_asked_for(None, data):
            return WantedJob(definition=definition, request=data)
        return await self._commands.pressed(data) or await self._commands.pressed_again(data)

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        """A pressed Action.Execute gets its answer in the response body, whatever it asks for.

        Teams documentation "Universal Actions for Adaptive Cards", section "Response format".
        """
        if turn_context.activity.name != "adaptiveCard/action":
            return await super().on_invoke_activity(turn_context)
        data = execute_data(self._incoming.value)
        if replied := await self._approvals.pressed(data):
            return InvokeResponse(status=200, body=execute_body(replied))
        answer = await self._wanted_by_button(data)
        if isinstance(answer, WantedJob):
            job = await self._jobs.start(answer.definition, request=answer.request)
            answer = answer.definition.acknowledgement(job)
        if answer is None:
            return InvokeResponse(status=200, body=UNKNOWN_BUTTON)
        return InvokeResponse(status=200, body=execute_body(Replied(text=answer.text or answer.summary)))

    async def on_installation_update(self, turn_context: TurnContext) -> None:
        """An upgrade of the app (``add-upgrade``, ``remove-upgrade``) is neither arrival nor leave."""
        if turn_context.activity.action == "add":
            await self._welcome_once(turn_context)
        elif turn_context.activity.action == "remove":
            await self._leave()

    async def on_members_added_activity(
        self, members_added: list[ChannelAccount], turn_context: TurnContext
    ) -> None:
        if self._is_among(members_added):
            await self._welcome_once(turn_context)

    async def on_members_removed_activity(
        self, members_removed: list[ChannelAccount], turn_context: TurnContext
    ) -> None:
        if self._is_among(members_removed):
            await self._leave()

    async def _welcome_once(self, turn_context: TurnContext) -> None:
        """installationUpdate and conversationUpdate arrive together, in either order: one welcomes."""
        claims = self._services.turn_claims
        claim = await claim_turn(
            self._welcome_key(), claims=claims, clock=self._services.clock, is_lasting=True
        )
        if claim.state == "acknowledged":
            return
        may_have_welcomed = claim.is_uncertain
        if not (may_have_welcomed and self._services.delivery_options.ambiguous_sends == "hold"):
            try:
                await turn_context.send_activity(to_botbuilder(welcome()))
            except DeliveryAmbiguous:
                raise
            except ChannelError:
                await claims.write(msgspec.structs.replace(claim, state="released"))
                raise
        await claims.write(msgspec.structs.replace(claim, state="acknowledged"))

    async def _leave(self) -> None:
        """The agent was taken out of the conversation; if it is put back it says hello again."""
        conversation = conversation_of(self._incoming)
        await self._services.conversations.mark_gone(conversation, at=self._services.clock.now())
        await self._services.turn_claims.forget(self._welcome_key())

    def _welcome_key(self) -> str:
        return derived_key(self._incoming.channel_id, self._incoming.conversation.conversation_id, "welcome")

    def _is_among(self, members: list[ChannelAccount]) -> bool:
        recipient = self._incoming.recipient
        return recipient is not None and any(member.id == recipient.account_id for member in members)


def welcome() -> Answer:
    """The card that shows what the agent can do, with a button for each kind of job."""
    actions = [
        {"type": "Action.Submit", "title": definition.title, "data": {"job": definition.kind}}
        for definition in JOBS
    ]
    return Answer(card=card("welcome", actions=actions, examples=_examples()))


def not_understood() -> Answer:
    return Answer(
        f"I did not get that. Here is what I can do: {_examples()}. Say hello to see it as buttons."
    )


def _examples() -> str:
    return ", ".join(definition.title[:1].lower() + definition.title[1:] for definition in JOBS)


def execute_data(value: Any) -> Any:
    """The data of a pressed Action.Execute button, or None where the value is not of that form."""
    action = value.get("action") if isinstance(value, dict) else None
    return action.get("data") if isinstance(action, dict) else None


def execute_body(replied: Replied) -> dict[str, Any]:
    """The response to a pressed Action.Execute: the card that takes the place of its own, or words."""
    if replied.card is not None:
        return {"statusCode": 200, "type": ADAPTIVE_CARD, "value": replied.card}
    return {
        "statusCode": 200,
        "type": "application/vnd.microsoft.activity.message",
        "value": replied.text,
    }


def to_botbuilder(answer: Answer) -> Activity:
    """The answer as botbuilder's Activity; it says what ``answer.to_activity()`` says as JSON."""
    reply: Activity = Activity(type=ActivityTypes.message, text=answer.marked_text or None)
    if answer.card is not None:
        reply.attachments = [Attachment(content_type=ADAPTIVE_CARD, content=answer.card)]
        reply.summary = answer.summary or None
    reply.entities = [_entity(plain) for plain in answer.entities] or None
    return reply


def _entity(plain: dict[str, Any]) -> Entity:
    """botbuilder's Entity knows its ``type`` alone: what else it has, is additional."""
    entity: Entity = Entity(type=plain["type"])
    entity.additional_properties = {name: value for name, value in plain.items() if name != "type"}
    return entity
