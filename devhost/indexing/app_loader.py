"""Loads a function app by its path: the module `function_app` and the one FunctionRegister in it."""

import importlib
import inspect
import json
import os
import sys
import traceback
import types
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import azure.functions as func

import devhost
from devhost.app_settings import app_setting
from devhost.errors import AppLoadError, FunctionRefused
from devhost.indexing.binding_rules import NO_LANGUAGES, Languages, check_function, check_route_conflict
from devhost.indexing.function_binding import Binding, FunctionDefinition, Signature
from devhost.indexing.function_signature import read_signature
from devhost.indexing.retry_settings import RetryPolicy, read_retry_policy

_MODULE_MISSING = (
    "Cannot find module. Please check the requirements.txt file for the missing module. "
    "For more info, please refer the troubleshooting guide: https://aka.ms/functions-modulenotfound."
)


@dataclass(slots=True)
class LoadedApp:
    """The functions that can run, and for each refused one the reason.

    `absent_activities`, `absent_orchestrators` and `absent_entities` are the lower-case durable names of
    those that are declared and cannot run now.
    """

    functions: list[FunctionDefinition] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    absent_activities: set[str] = field(default_factory=set)
    absent_orchestrators: set[str] = field(default_factory=set)
    absent_entities: set[str] = field(default_factory=set)

    def of_type(self, trigger_type: str) -> list[FunctionDefinition]:
        """Enabled functions of one trigger type, in the order of registration."""
        return [f for f in self.functions if f.trigger.type == trigger_type and not f.is_disabled]


def load_app(script_root: Path, only: Collection[str], languages: Languages) -> LoadedApp:
    """Import the app and index its functions (`only` names those to keep; empty keeps all).

    Raises AppLoadError when the app as a whole does not index.
    """
    file_name = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    module = _import_app(script_root, file_name)
    # The same app under two names is two to the worker, too.
    registers = [value for value in vars(module).values() if isinstance(value, func.FunctionRegister)]
    if not registers:
        raise AppLoadError(f"ValueError: Could not find top level function app instances in {file_name}.")
    if len(registers) > 1:
        raise AppLoadError(
            f"ValueError: More than one {type(registers[0]).__name__} or other top "
            "level function app instances are defined."
        )
    try:
        functions = registers[0].get_functions()
    except Exception as error:  # decorators validate late, with errors of any type
        raise AppLoadError(f"{type(error).__name__}: {error}") from error
    return index_functions(functions, only, languages)


def _import_app(script_root: Path, file_name: str) -> types.ModuleType:
    os.chdir(script_root)
    # What lies beside the package devhost is no library of the app: on Azure it would not be there.
    home = Path(devhost.__file__).resolve().parent.parent
    if home.name not in ("site-packages", "dist-packages"):
        sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != home]
    sys.path.insert(0, str(script_root))
    importlib.invalidate_caches()
    if not (script_root / f"{Path(file_name).stem.replace('.', '/')}.py").is_file():
        raise AppLoadError(f"No functions were found: there is no {file_name} in {script_root}.")
    try:
        return importlib.import_module(Path(file_name).stem)
    except (Exception, SystemExit) as error:  # the user's module may raise anything, even at import
        reason = f"{type(error).__name__}: {error}"
        if isinstance(error, ImportError):
            reason += ". " + _MODULE_MISSING
        raise AppLoadError(f"{reason}\n{traceback.format_exc()}".rstrip()) from error


def index_functions(
    functions: Sequence[Any], only: Collection[str] = (), languages: Languages = NO_LANGUAGES
) -> LoadedApp:
    """Check what an app's `get_functions()` gave, and keep what can run (`only` as for `load_app`).

    Raises AppLoadError when a signature does not fit; the worker then loads no function at all.
    """
    app, kept = LoadedApp(), {name.lower() for name in only}
    signed = [_Signed.read(function) for function in functions]
    http_triggers: list[tuple[str, Binding]] = []
    for declared in signed:
        try:
            retry = read_retry_policy(declared.function.get_settings_dict("retry_policy"))
            if kept and declared.name.lower() not in kept:
                continue
            if any(declared.name.lower() == other.name.lower() for other in app.functions):
                raise FunctionRefused(
                    f"The function name '{declared.name}' must be unique within the function app."
                )
            resolved = check_function(declared.name, declared.bindings, languages)
            definition = declared.definition(resolved, retry)
            if definition.trigger.type == "httpTrigger":
                check_route_conflict(definition.trigger, http_triggers)
                http_triggers.append((definition.name, definition.trigger))
        except FunctionRefused as reason:
            app.refused[declared.name] = str(reason)
            continue
        app.functions.append(definition)
    app.absent_activities = _absent(app, signed, "activityTrigger", "activity")
    app.absent_orchestrators = _absent(app, signed, "orchestrationTrigger", "orchestration")
    app.absent_entities = _absent(app, signed, "entityTrigger", "entityName")
    return app


@dataclass(frozen=True, slots=True)
class _Signed:
    """A function of the app whose signature fits its bindings, as it was declared."""

    function: Any
    name: str
    bindings: tuple[Binding, ...]
    signature: Signature

    @classmethod
    def read(cls, function: Any) -> "_Signed":
        bindings = tuple(_binding(json.loads(raw)) for raw in function.get_raw_bindings())
        name = str(function.get_function_name())
        return cls(function, name, bindings, read_signature(name, function.get_user_function(), bindings))

    def definition(self, resolved: tuple[Binding, ...], retry: RetryPolicy | None) -> FunctionDefinition:
        trigger = next((binding for binding in resolved if binding.is_trigger), None)
        if trigger is None:
            raise FunctionRefused(
                "No trigger binding specified. A function must have a trigger input binding."
            )
        user_function = self.function.get_user_function()
        return FunctionDefinition(
            name=self.name,
            user_function=user_function,
            trigger=trigger,
            bindings=resolved,
            signature=self.signature,
            is_async=inspect.iscoroutinefunction(user_function),
            is_disabled=_is_disabled(self.name),
            retry=retry,
        )


def _absent(app: LoadedApp, signed: list[_Signed], trigger_type: str, name_member: str) -> set[str]:
    """Durable names of one trigger type that are declared and do not run."""
    names = {
        str(binding.properties.get(name_member) or declared.name).lower()
        for declared in signed
        for binding in declared.bindings
        if binding.type == trigger_type
    }
    return names - {function.durable_name.lower() for function in app.of_type(trigger_type)}


def _binding(raw: dict[str, Any]) -> Binding:
    return Binding(str(raw["name"]), str(raw["type"]), str(raw["direction"]), raw)


def _is_disabled(name: str) -> bool:
    spellings = (
        f"AzureWebJobs.{name}.Disabled",
        f"AzureWebJobs__{name}__Disabled",
        f"AzureWebJobs_{name}_Disabled",
    )
    value = next((found for found in map(app_setting, spellings) if found), "")
    return value.strip().lower() in ("1", "true")
