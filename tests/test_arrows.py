"""Who may import whom: the layout of the house, held by a test."""

import ast
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

MAY_IMPORT: dict[str, set[str]] = {
    "agent": set(),
    "settings": set(),
    "adapters": {"agent"},
    "composition": {"adapters", "agent", "settings"},
    "activities": {"agent", "composition"},
    "orchestrators": {"activities", "agent"},  # never composition: no I/O in an orchestrator
    "triggers": {"agent", "composition", "orchestrators"},
    "function_app": {"activities", "orchestrators", "triggers"},
    "devhost": set(),  # it loads a function app by its path; nothing imports devhost
    # It starts the app's processes and talks to them from outside; callback URLs it signs as the app does.
    "local": {"agent"},
    "testconnector": set(),  # it stands in for the channel: the app is pointed at it by its settings
}
MAY_IMPORT["bench"] = set(MAY_IMPORT)  # it measures everything; nothing imports it
# Of third parties: what decides knows no SDK.
AGENT_MAY_IMPORT = {"msgspec"}
BOTBUILDER_IN = {
    "agent/bot.py",
    "adapters/bot_adapter.py",
    "bench/apps/peer_botbuilder.py",
    "bench/apps/peer_botbuilder_jobs.py",
}
INSTALLED = {"node_modules", ".venv-peers"}  # others' code, below rooms of ours


def modules(room: str) -> Iterator[Path]:
    single = ROOT / f"{room}.py"
    found = [single] if single.exists() else (ROOT / room).rglob("*.py")
    return (module for module in found if INSTALLED.isdisjoint(module.parts))


def imports(module: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def name_of(module: Path) -> str:
    return module.relative_to(ROOT).as_posix()


def sources() -> list[Path]:
    found = [module for room in MAY_IMPORT for module in modules(room)]
    assert len(found) > 60, "the rooms were not found"
    return found


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_the_rooms_it_may(room: str) -> None:
    found = list(modules(room))
    assert found
    for module in found:
        rooms = {name.partition(".")[0] for name in imports(module)} & MAY_IMPORT.keys()
        assert rooms - {room} <= MAY_IMPORT[room], f"{name_of(module)} imports {rooms - MAY_IMPORT[room]}"


def test_the_agent_knows_no_sdk_but_botbuilder_in_its_bot() -> None:
    for module in modules("agent"):
        used = {name.partition(".")[0] for name in imports(module)} - sys.stdlib_module_names - {"agent"}
        allowed = AGENT_MAY_IMPORT | ({"botbuilder"} if name_of(module) == "agent/bot.py" else set())
        assert used <= allowed, f"{name_of(module)} imports {used - allowed}"


def test_botbuilder_is_imported_in_two_places_and_by_the_bench_only() -> None:
    for module in sources():
        if any(name.partition(".")[0] in ("botbuilder", "botframework") for name in imports(module)):
            assert name_of(module) in BOTBUILDER_IN


def test_no_trigger_imports_another() -> None:
    for module in modules("triggers"):
        for name in imports(module):
            if name.startswith("triggers."):
                assert name == "triggers.problem.problem", f"{name_of(module)} imports {name}"


def test_services_are_called_in_triggers_and_activities_only() -> None:
    for module in sources():
        if "composition.services" in set(imports(module)):
            assert name_of(module).partition("/")[0] in ("triggers", "activities")


def test_orchestrators_read_by_readers_that_are_made_at_import() -> None:
    # They run in threads: what msgspec first meets there may take the process down.
    for module in modules("orchestrators"):
        tree = ast.parse(module.read_text("utf-8"))
        made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and named(node) == "reader"]
        at_import = [
            node
            for statement in tree.body
            if isinstance(statement, ast.Assign)
            for node in ast.walk(statement.value)
            if node in made
        ]
        assert made == at_import, name_of(module)
        called = {named(node) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not called & {"from_task_hub", "convert", "decode", "Decoder"}, name_of(module)


def named(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def test_all_but_orchestrators_runs_on_the_event_loop() -> None:
    for module in (*modules("activities"), *modules("triggers")):
        for node in ast.parse(module.read_text("utf-8")).body:
            assert not (isinstance(node, ast.FunctionDef) and "blueprint" in decorators(node)), node.name


def decorators(function: ast.FunctionDef) -> str:
    return " ".join(ast.unparse(decorator) for decorator in function.decorator_list)


def test_function_app_lists_and_decides_nothing() -> None:
    tree = ast.parse((ROOT / "function_app.py").read_text("utf-8"))
    deciding = (ast.If, ast.For, ast.While, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Try)
    assert not [node for node in ast.walk(tree) if isinstance(node, deciding)]


# The rooms of devhost, lowest first: a room knows those of the lines above it, and none beside it.
DEVHOST_LAYERS: list[set[str]] = [
    {"app_settings", "errors", "stop_signal", "storable_text", "timespan"},
    {"host_json_keys", "json_file"},
    {"host_json"},
    {"log_level"},
    {"host_log", "storage"},
    {"indexing"},
    {"invocation"},
    {"blob", "durable", "http", "queue", "timer"},
    {"admin", "banner", "host_settings", "trigger_languages"},
    {"page"},
    {"host_parts"},
    {"host"},
    {"command"},
    {"__main__"},
]


def test_no_room_of_devhost_knows_one_above_or_beside_it() -> None:
    layer_of = {room: number for number, layer in enumerate(DEVHOST_LAYERS) for room in layer}
    for module in modules("devhost"):
        path = module.relative_to(ROOT / "devhost").with_suffix("")
        if path.name == "__init__":
            continue
        room = path.parts[0]
        for name in imports(module):
            if not name.startswith("devhost."):
                continue
            other = name.split(".")[1]
            is_below = layer_of[other] < layer_of[room]
            assert room == other or is_below, f"{name_of(module)} imports {name}"


def test_no_module_of_devhost_imports_itself_by_way_of_others() -> None:
    known = {name_of(module).removesuffix(".py").replace("/", "."): module for module in modules("devhost")}
    graph: dict[str, set[str]] = {}
    for name, module in known.items():
        wanted = {part for given in imports(module) for part in (given, given.rpartition(".")[0])}
        graph[name] = wanted & known.keys()
    order = TopologicalSorter(graph)
    order.prepare()  # raises CycleError, which names the circle
    assert order.is_active()
