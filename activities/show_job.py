"""How a job is, shown to its user while it runs."""

import azure.durable_functions as df

from agent.job_view import Showed, Showing, show
from agent.task_hub import from_task_hub, to_task_hub
from composition import services

blueprint = df.Blueprint()


@blueprint.activity_trigger(input_name="showing")
async def show_job(showing: dict) -> dict:
    """Show what a Showing says; what it Showed."""
    view = await show(from_task_hub(showing, Showing), services=services())
    return to_task_hub(Showed(view=view))
