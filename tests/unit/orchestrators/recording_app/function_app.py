"""The app while its histories are recorded: the repository's own, with the kinds of job of the recording."""

import sys
from pathlib import Path

import azure.durable_functions as df

# Of this very checkout, though devhost may be that of another.
sys.path.insert(0, str(Path(__file__).resolve().parents[4]))
# This module has the name of the app's own, which is looked for anew.
del sys.modules["function_app"]

import function_app  # noqa: E402
from agent.jobs import catalog  # noqa: E402
from tests.unit.orchestrators.recorded_jobs import RECORDED_JOBS  # noqa: E402

catalog.JOBS.extend(RECORDED_JOBS)

app: df.DFApp = function_app.app
