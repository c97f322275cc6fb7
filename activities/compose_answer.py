"""An answer that is composed piece by piece, and streamed. What raises is retried, from the beginning."""

import azure.durable_functions as df

from agent.composing import Composition, compose
from agent.task_hub import from_task_hub, to_task_hub
from composition import services

blueprint = df.Blueprint()


@blueprint.activity_trigger(input_name="composition")
async def compose_answer(composition: dict) -> dict:
    """Make a Composition; its ComposedOutcome."""
    return to_task_hub(await compose(from_task_hub(composition, Composition), services=services()))
