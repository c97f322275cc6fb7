"""From a path to the functions behind it, in the order in which they are registered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from devhost.http.route_template import RouteTemplate, compile_template
from devhost.indexing.binding_rules import verbs
from devhost.indexing.function_binding import FunctionDefinition


@dataclass(frozen=True, slots=True)
class Route:
    """One function and the paths and verbs that lead to it; no verbs are all."""

    template: RouteTemplate
    verbs: frozenset[str]
    function: FunctionDefinition


@dataclass(frozen=True, slots=True)
class Match:
    """A route that fits a path, with the parameters that it took from it."""

    route: Route
    parameters: dict[str, str]


class RouteTable:
    """All routes. The first whose template and verbs fit answers, as on the real host."""

    def __init__(self, functions: Sequence[FunctionDefinition], route_prefix: str) -> None:
        self._routes = [
            Route(compile_template(function.http_path(route_prefix)), verbs(function.trigger), function)
            for function in functions
        ]
        literals = [route.template.literal for route in self._routes]
        # A path without parameters fits the same routes each time, so they are looked up once.
        self._literal = {
            f"/{literal}": list(self._matches(f"/{literal}")) for literal in literals if literal is not None
        }

    def find_literal(self, path: str, verb: str) -> Match | None:
        """The route of a path that needs no reading: in lower case, without escapes or parameters."""
        for match in self._literal.get(path, ()):
            if not match.route.verbs or verb in match.route.verbs:
                return match
        return None

    def find(self, path: str, verb: str) -> Match | None:
        """The route of a decoded path."""
        for match in self._matches(path):
            if not match.route.verbs or verb in match.route.verbs:
                return match
        return None

    def _matches(self, path: str) -> Iterator[Match]:
        for route in self._routes:
            parameters = route.template.match(path)
            if parameters is not None:
                yield Match(route, parameters)
