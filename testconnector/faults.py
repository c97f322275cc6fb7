"""Faults by script: rules of what they match and what they do; the first one that fires wins."""

import asyncio
import random
import re
from dataclasses import dataclass, field
from typing import Any

from testconnector.effects import Effect, FaultError, effect_of, number_of, require_object
from testconnector.recording import Call

OPERATIONS = ("create", "send", "reply", "update", "delete", "members", "member", "pagedmembers")
_RULE_KEYS = frozenset({"match", "effect", "times"})
_MATCH_KEYS = frozenset(
    ["method", "path", "text", "conversation", "operation", "nth", "every", "probability", "seed"]
)


@dataclass(slots=True)
class Rule:
    """``seen``: requests that it matches; ``fired``: how often it took effect."""

    number: int
    given: dict[str, Any]
    effect: Effect
    method: str | None = None
    path: re.Pattern[str] | None = None
    text: re.Pattern[str] | None = None
    conversation: str | None = None
    operations: frozenset[str] | None = None
    nth: int | None = None
    every: int | None = None
    probability: float | None = None
    dice: random.Random = field(default_factory=random.Random)
    times: int | None = None
    seen: int = 0
    fired: int = 0
    removed: asyncio.Event = field(default_factory=asyncio.Event)

    def fires(self, call: Call) -> bool:
        if (self.times is not None and self.fired >= self.times) or not self._matches(call):
            return False
        self.seen += 1
        if self.nth is not None and self.seen != self.nth:
            return False
        if self.every is not None and self.seen % self.every:
            return False
        if self.probability is not None and self.dice.random() >= self.probability:
            return False
        self.fired += 1
        return True

    def _matches(self, call: Call) -> bool:
        if self.method is not None and call.method != self.method:
            return False
        if self.operations is not None and call.operation not in self.operations:
            return False
        if self.conversation is not None and call.conversation_id != self.conversation:
            return False
        if self.path is not None and not self.path.search(call.path):
            return False
        if self.text is None:
            return True
        text = call.body.get("text") if isinstance(call.body, dict) else None
        return isinstance(text, str) and self.text.search(text) is not None

    def shown(self) -> dict[str, Any]:
        return {**self.given, "number": self.number, "seen": self.seen, "fired": self.fired}


def rule_of(given: Any, *, number: int) -> Rule:
    """The rule that a script describes. Raises FaultError."""
    require_object("rule", given, _RULE_KEYS)
    match = given.get("match", {})
    require_object("match", match, _MATCH_KEYS)
    probability = number_of(match, "probability")
    if probability is not None and probability > 1:
        raise FaultError("probability must be from 0 to 1")
    method = _text(match, "method")
    return Rule(
        number=number,
        given=given,
        effect=effect_of(given.get("effect")),
        method=method.upper() if method else None,
        path=_pattern(match, "path"),
        text=_pattern(match, "text"),
        conversation=_text(match, "conversation"),
        operations=_operations(match.get("operation")),
        nth=_count(match, "nth"),
        every=_count(match, "every"),
        probability=probability,
        dice=random.Random(match.get("seed")),
        times=_count(given, "times"),
    )


def _count(given: dict[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise FaultError(f"{name} must be a whole number from 1")
    return value


def _text(match: dict[str, Any], name: str) -> str | None:
    value = match.get(name)
    if value is not None and not isinstance(value, str):
        raise FaultError(f"{name} must be a text")
    return value


def _pattern(match: dict[str, Any], name: str) -> re.Pattern[str] | None:
    given = match.get(name)
    try:
        return None if given is None else re.compile(given)
    except (re.error, TypeError) as error:
        raise FaultError(f"{name}: {error}") from error


def _operations(given: Any) -> frozenset[str] | None:
    if given is None:
        return None
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, list) or not all(one in OPERATIONS for one in listed):
        raise FaultError(f"operation must be of {', '.join(OPERATIONS)}")
    return frozenset(listed)


class Faults:
    """The rules, in the order in which they are asked."""

    def __init__(self, rules: list[Any] | None = None) -> None:
        self._number = 0
        self._rules: list[Rule] = []
        for given in rules or []:
            self.add(given)

    def __iter__(self) -> Any:
        return iter(self._rules)

    def add(self, given: Any) -> Rule:
        """Ask this rule after those that are there. Raises FaultError."""
        rule = rule_of(given, number=self._number + 1)
        self._number += 1
        self._rules.append(rule)
        return rule

    def next_answers(self, *effects: dict[str, Any]) -> None:
        """Each of the next requests has one of these effects, in their order."""
        for effect in effects:
            self.add({"effect": effect, "times": 1})

    def replace(self, rules: list[Any]) -> None:
        """These rules and no others; if one cannot be understood, nothing changes. Raises FaultError."""
        for given in rules:
            rule_of(given, number=0)
        self.clear()
        for given in rules:
            self.add(given)

    def clear(self) -> None:
        """No faults any more. What is held is cut."""
        for rule in self._rules:
            rule.removed.set()
        self._rules = []

    def remove(self, number: int) -> bool:
        """Take out one rule. What it holds is cut. False if there is none of that number."""
        for rule in self._rules:
            if rule.number == number:
                rule.removed.set()
                self._rules.remove(rule)
                return True
        return False

    def firing(self, call: Call) -> Rule | None:
        for rule in self._rules:
            if rule.fires(call):
                return rule
        return None
