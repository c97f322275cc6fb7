"""What a job gets by default: begun, waited out, checked, followed up; or cancelled by its user."""

from collections.abc import Generator
from typing import Any

import azure.durable_functions as df

from agent.task_hub import reader
from orchestrators.following import Following, follow

blueprint = df.Blueprint()
read_following = reader(Following)


@blueprint.orchestration_trigger(context_name="context")
def follow_up(context: df.DurableOrchestrationContext) -> Generator[Any, Any, Any]:
    """Follow one job to its end; ``{"outcome", "told"}``.

    A job that breaks is told so to its user, and its orchestration ends as Failed.
    """
    following = read_following(context.get_input(expected_type=dict))
    return (yield from follow(context, following))
