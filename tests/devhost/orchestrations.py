"""What the tests of B5 have in common: their types, the activities of their apps, the SDK's warnings."""

from collections.abc import Callable, Generator
from typing import Any

import azure.durable_functions as df
import pytest

from tests.devhost.simulation import Simulation

Context = Any  # the SDK ships no types
Steps = Generator[Any, Any, Any]
Orchestrator = Callable[[Context], Any]
Simulate = Callable[..., Simulation]

SDK_WARNINGS = [
    # The SDK warns when an event comes before its wait; that it may is what is tested.
    pytest.mark.filterwarnings("ignore:Potential duplicate Task completion"),
    pytest.mark.filterwarnings("ignore:.*df_loads was called without expected_type:DeprecationWarning"),
]
TRIES: dict[str, int] = {}  # of `flaky`, by key; the fixture `simulate` clears it


def app_of(*orchestrators: Orchestrator) -> df.DFApp:
    """An app of these orchestrators and the activities that they call."""
    app = df.DFApp()
    for orchestrator in orchestrators:
        app.orchestration_trigger(context_name="context")(orchestrator)

    @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        return number * 2

    @app.activity_trigger(input_name="value")  # type: ignore[untyped-decorator]
    def echo(value: Any) -> Any:
        return value

    @app.activity_trigger(input_name="wish")  # type: ignore[untyped-decorator]
    def flaky(wish: dict) -> str:  # type: ignore[type-arg]  # the worker knows plain types only
        TRIES[wish["key"]] = TRIES.get(wish["key"], 0) + 1
        if TRIES[wish["key"]] <= wish["failures"]:
            raise ValueError(f"try {TRIES[wish['key']]}")
        return "at last"

    @app.entity_trigger(context_name="context")  # type: ignore[untyped-decorator]
    def counter(context: Any) -> None:
        context.set_state(context.get_state(lambda: 0) + context.get_input())
        context.set_result(context.get_state())

    return app
