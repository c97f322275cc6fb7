"""Records histories of an app by running it: `python -m tests.unit.orchestrators.record_histories v2`.

`--app` names the app's directory, such as a worktree of an older commit; it is this one if none is named.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from local.functions_host import ROOT
from tests.unit.orchestrators.follow_up_scenarios import (
    WHILE_NONE_ARE_TAKEN,
    WHILE_ORDERS_ARE_TAKEN,
    Scenario,
)
from tests.unit.orchestrators.recorded_app import RecordedApp, recorded_app
from tests.unit.orchestrators.recorded_history import HISTORIES, RecordedHistory
from tests.unit.orchestrators.screen_scenarios import ON_THE_SCREEN


async def record(app_directory: Path, into: Path) -> None:
    """Play every scenario, each with a user of its own. Raises StackError."""
    with tempfile.TemporaryDirectory() as directory:
        async with recorded_app(app_directory, place=Path(directory)) as app:
            first = [*WHILE_ORDERS_ARE_TAKEN, *ON_THE_SCREEN]
            await _play(first, app, into, first_user=1)
            await app.break_new_orders()
            await _play(WHILE_NONE_ARE_TAKEN, app, into, first_user=len(first) + 1)


async def _play(scenarios: list[Scenario], app: RecordedApp, into: Path, *, first_user: int) -> None:
    async def play(scenario: Scenario, user: int) -> None:
        job = await scenario(app, user)
        recorded = RecordedHistory(
            happened=scenario.__doc__ or "",
            orchestrator=job.orchestrator,
            history=app.scrubbed(job.history),
        )
        recorded.write(into / f"{scenario.__name__}.json")

    async with asyncio.TaskGroup() as group:
        for user, scenario in enumerate(scenarios, start=first_user):
            group.create_task(play(scenario, user))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.unit.orchestrators.record_histories")
    parser.add_argument("version", help="the directory below histories/ that is written")
    parser.add_argument("--app", type=Path, default=ROOT, help="where function_app.py lies")
    given = parser.parse_args()
    asyncio.run(record(given.app.resolve(), HISTORIES / given.version))


if __name__ == "__main__":
    main()
