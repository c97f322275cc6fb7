"""What a job tells its user, sent into the conversation in which it was asked for."""

import azure.durable_functions as df

from agent import follow_up as follow_ups
from agent.task_hub import from_task_hub, to_task_hub
from composition import services

blueprint = df.Blueprint()


@blueprint.activity_trigger(input_name="follow_up")
async def send_follow_up(follow_up: dict) -> dict:
    """Send a FollowUp; how it went. What raises, the orchestration retries."""
    sent = await follow_ups.send(from_task_hub(follow_up, follow_ups.FollowUp), services=services())
    return to_task_hub(sent)


@blueprint.activity_trigger(input_name="follow_up")
async def give_up_follow_up(follow_up: dict) -> dict:
    """End the delivery of a FollowUp that did not get through; how it ended."""
    sent = await follow_ups.give_up(from_task_hub(follow_up, follow_ups.FollowUp), services=services())
    return to_task_hub(sent)
