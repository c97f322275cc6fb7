"""The function app as it is deployed, with the ports of the bench, and its logins redirected to the stub."""

import composition
from bench.apps.afterword_services import bench_services
from bench.apps.program import redirect_logins

redirect_logins()
composition.services = bench_services  # before the triggers take it

from function_app import app  # noqa: E402 (devhost looks for it here)

__all__ = ["app"]
