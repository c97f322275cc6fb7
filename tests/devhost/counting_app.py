"""An app with one entity, a counter, and an orchestration that a test writes itself."""

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import azure.durable_functions as df

from devhost.durable.history import Status
from tests.devhost.simulation import Simulation, durable_functions

COUNTER = df.EntityId("Counter", "a")


def counting(batches: list[int] | None = None) -> df.DFApp:
    """An app with a counter; `batches` is told how many operations each call of its function had."""
    app = df.DFApp()

    def counter(context: df.DurableEntityContext) -> None:
        value = context.get_state(lambda: 0)
        match context.operation_name:
            case "add":
                value += context.get_input()
                context.set_state(value)
                context.set_result(value)
            case "get":
                context.set_result(value)
            case "remove":
                context.destruct_on_exit()
            case "who":
                context.set_result([context.entity_name, context.entity_key, context.get_input()])
            case "fail":
                context.set_state(value + 100)  # what a failed operation did to the state stays
                raise ValueError("no: ü\ud800")

    if batches is None:
        app.entity_trigger(context_name="context", entity_name="Counter")(counter)
        return app
    entity = df.Entity.create(counter)  # as apps do that register the handler themselves

    @app.generic_trigger(arg_name="context", type="entityTrigger", entityName="Counter")
    def counted(context):  # type: ignore[no-untyped-def]
        batches.append(len(json.loads(context.body)["batch"]))
        return entity(context)

    return app


def orchestrated(app: df.DFApp, body: Callable[[Any], Generator[Any, Any, Any]]) -> df.DFApp:
    app.orchestration_trigger(context_name="context", orchestration="o")(body)
    return app


async def run(path: Path, app: df.DFApp, *, restarts: bool = True, given: object = None) -> Simulation:
    simulation = Simulation(path / "hub.sqlite", durable_functions(app), restarts=restarts)
    simulation.start("o", given)
    await simulation.run()
    return simulation


def output(simulation: Simulation, instance_id: str = "i") -> Any:
    instance = simulation.instance(instance_id)
    assert instance.status is Status.COMPLETED, instance.output
    return json.loads(instance.output or "null")
