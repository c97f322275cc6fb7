"""The app of a soak run: the repository's own, with the run's kinds of job."""

import sys
from pathlib import Path

import azure.durable_functions as df

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
from agent.jobs import catalog
from tests.soak.jobs import SOAK_JOBS

catalog.JOBS.extend(SOAK_JOBS)

# This module has the name of that one, which is looked for anew.
del sys.modules["function_app"]
import function_app  # noqa: E402

app: df.DFApp = function_app.app
