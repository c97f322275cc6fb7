"""Contract B1, signature rules: how a function's parameters have to fit its bindings."""

from collections.abc import Callable
from typing import Any, List, Optional  # noqa: UP035 (the library reads typing's generics only)

import azure.functions as func
import pytest

from devhost.errors import AppLoadError
from devhost.indexing.function_binding import Binding
from devhost.indexing.function_signature import read_signature


def http(name: str = "req", **properties: Any) -> Binding:
    return Binding(name, "httpTrigger", "IN", {"route": "r", **properties})


def queue(name: str = "msg", kind: str = "queueTrigger", direction: str = "IN", **properties: Any) -> Binding:
    return Binding(name, kind, direction, {"queueName": "work", "connection": "Store", **properties})


OUT = queue("out", "queue", "OUT")
RETURN = Binding("$return", "http", "OUT", {})


def no_parameters() -> None: ...
def one_too_many(req: func.HttpRequest, other: str) -> None: ...
def not_an_out(msg: func.QueueMessage, out: str) -> None: ...
def an_out_of_nothing(msg: func.QueueMessage, out: func.Out) -> None: ...  # type: ignore[type-arg]
def an_out_for_an_input(msg: func.Out[str]) -> None: ...
def wrong_type(msg: func.TimerRequest) -> None: ...
def wrong_context(msg: func.QueueMessage, context: str) -> None: ...
def called_context(msg: func.QueueMessage, context: "Context") -> None: ...
def generic_type(msg: List[str]) -> None: ...  # noqa: UP006 (see above)
def builtin_generic(msg: list[str]) -> None: ...
def optional(msg: Optional[str]) -> None: ...  # noqa: UP045 (what an app may write)
def unreadable(msg: "Nowhere") -> None: ...  # type: ignore[name-defined] # noqa: F821 (that is the point)
def misspelt(msg: "func.QueueMesage") -> None: ...  # type: ignore[name-defined]
def returns_a_dict(req: func.HttpRequest) -> dict: ...  # type: ignore[type-arg,empty-body]
def returns_an_out(req: func.HttpRequest) -> func.Out[str]: ...  # type: ignore[empty-body]
def returns_either(req: func.HttpRequest) -> str | func.HttpResponse: ...  # type: ignore[empty-body]
def returns_nothing(req: func.HttpRequest) -> None: ...
def any_message(msg) -> None: ...  # type: ignore[no-untyped-def]


class Context(func.Context):
    """Of this name and from elsewhere, as the worker allows."""


DEFINITION = r"in the function definition \(function.json or function decorators\)"


@pytest.mark.parametrize(
    ("function", "bindings", "reason"),
    [
        (no_parameters, [http()], DEFINITION + r" but not in Python: \{'req'\}$"),
        (one_too_many, [http()], f"declared in Python but not {DEFINITION}" + r": \{'other'\}$"),
        (no_parameters, [http("b"), http("a")], r"Python: \{'a', 'b'\}$"),
        (not_an_out, [queue(), OUT], 'declared to have the "out" direction, but its annotation in Python'),
        (an_out_of_nothing, [queue(), OUT], "binding out has invalid Out annotation"),
        (an_out_for_an_input, [queue()], "but its annotation is azure.functions.Out in Python"),
        (wrong_type, [queue()], '"queueTrigger" does not match its Python annotation "TimerRequest"'),
        (wrong_type, [queue(dataType="BINARY")], '\'msg\' binding type "queueTrigger" and dataType "BINARY"'),
        (wrong_context, [queue()], "is expected to be of type azure.functions.Context, got <class 'str'>"),
        (generic_type, [queue()], 'does not match its Python annotation "List"'),
        (builtin_generic, [queue()], r"binding msg has invalid non-type annotation list\[str\]"),
        (optional, [queue()], r"binding msg has invalid non-type annotation typing.Optional\[str\]"),
        (unreadable, [queue()], "^NameError: name 'Nowhere' is not defined"),
        (misspelt, [queue()], "^AttributeError: module 'azure.functions' has no attribute 'QueueMesage'"),
        (any_message, [queue(direction="INOUT")], '"inout" bindings are not supported'),
        (any_message, [queue(), queue("$return")], r'"\$return" binding must have direction set to "out"'),
        (returns_a_dict, [http(), RETURN], 'annotation "dict" does not match binding type "http"'),
        (returns_nothing, [http(), RETURN], 'annotation "NoneType" does not match binding type "http"'),
        (returns_an_out, [http(), RETURN], "return annotation should not be azure.functions.Out"),
        (returns_either, [http(), RETURN], "has invalid non-type return annotation"),
    ],
)
def test_a_signature_that_does_not_fit_its_bindings_stops_the_app(
    function: Callable[..., Any], bindings: list[Binding], reason: str
) -> None:
    with pytest.raises(AppLoadError, match=reason):
        read_signature("fails", function, bindings)


def test_converters_are_chosen_as_the_worker_chooses_them() -> None:
    def fine(msg: str, out: func.Out[str], many: func.Out[List[str]], context: func.Context) -> None: ...  # noqa: UP006

    signature = read_signature("fine", fine, [queue(), OUT, queue("many", "queue", "OUT")])
    assert signature.converters == {"msg": "generic", "out": "generic", "many": "queue"}
    assert signature.out_parameters == {"out", "many"}
    assert signature.wants_context
    assert signature.return_binding is None


def test_a_context_is_recognised_by_its_name_and_a_binding_may_take_that() -> None:
    assert read_signature("f", called_context, [queue()]).wants_context
    bound = Binding("context", "orchestrationTrigger", "IN", {})

    def orchestrator(context: func.OrchestrationContext) -> None: ...

    signature = read_signature("f", orchestrator, [bound])
    assert not signature.wants_context
    assert signature.return_binding == "orchestrationTrigger"


def test_an_activity_takes_any_type_but_the_builtin_generic_ones() -> None:
    def typed(given: List[str]) -> List[str]: ...  # type: ignore[empty-body] # noqa: UP006 (see above)
    def builtin(given: dict[str, Any]) -> None: ...

    activity = Binding("given", "activityTrigger", "IN", {})
    assert read_signature("f", typed, [activity]).return_binding == "activityTrigger"
    with pytest.raises(AppLoadError, match="invalid non-type annotation"):
        read_signature("f", builtin, [activity])


def test_what_is_returned_goes_to_the_return_binding_before_the_trigger() -> None:
    def puts(given: str) -> str: ...  # type: ignore[empty-body]

    activity = Binding("given", "activityTrigger", "IN", {})
    assert read_signature("f", puts, [activity, queue("$return", "queue", "OUT")]).return_binding == "queue"
    assert read_signature("f", puts, [activity]).return_binding == "activityTrigger"


def test_a_parameter_without_an_annotation_takes_what_the_library_gives() -> None:
    signature = read_signature("f", any_message, [queue()])
    assert signature.converters == {"msg": "queueTrigger"}
