"""Orchestrators grown from a small grammar: how they are drawn, run, and what must come of them.

A program is a list of steps; a step is a list of its kind and its values, so that it crosses the task hub as
it is. Not grown are what the SDK itself gets wrong: two early events of one name (durable-python#507), a call
with retries beside a timer that is cancelled, or beside a call that fails, in one compound (their ids differ
from the framework's), one task given to `task_any` twice, `task_all([])`, and timers beyond six days.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
from hypothesis import strategies as st

Step = list[Any]
Program = list[Step]
Context = Any  # the SDK ships no types
Tasks = Generator[Any, Any, Any]

_small = st.integers(1, 4)
_call = st.tuples(st.just("call"), _small).map(list)
_timer = st.tuples(st.just("timer"), _small).map(list)
_event = st.just(["event"])
_entity = st.tuples(st.just("entity"), _small).map(list)
# Failures before the first success, which come to more than the attempts or to fewer.
_retry = st.tuples(st.just("retry"), st.sampled_from([0, 1, 2, 99])).map(list)
_retry_in_time = st.tuples(st.just("retry"), st.integers(0, 2)).map(list)
_simple = st.one_of(
    _call,
    _timer,
    _event,
    _entity,
    _retry,
    st.just(["fails"]),
    st.just(["too late"]),
    st.just(["child fails"]),
    st.tuples(st.just("signal"), _small).map(list),
    st.tuples(st.just("status"), _small).map(list),
    st.tuples(st.just("race"), _small, st.booleans()).map(list),
)


def _programs(children: st.SearchStrategy[Program] | None, most: int) -> st.SearchStrategy[Program]:
    child = (
        st.tuples(st.just("child"), children, st.integers(0, 1)).map(list) if children is not None else _call
    )
    inside = st.one_of(_call, _timer, _event, _entity, child)
    together = st.one_of(
        st.lists(st.one_of(inside, _retry_in_time), min_size=1, max_size=4),
        st.lists(st.one_of(inside, st.just(["fails"])), min_size=1, max_size=3),
    )
    step = st.one_of(_simple, child, st.tuples(st.just("all"), together).map(list))
    return st.lists(step, max_size=most)


programs = _programs(_programs(None, 2), 5)
ATTEMPTS = df.RetryOptions(first_retry_interval_in_milliseconds=500, max_number_of_attempts=3)
TRIES: dict[str, int] = {}


def grown(context: Context) -> Tasks:
    """Runs a program as often as it is told to, each time as a new execution."""
    given = context.get_input()
    results = given["results"]
    for index, step in enumerate(given["program"]):
        place = f"{context.instance_id}-{given['round']}.{index}"
        results.append((yield from _run(context, step, place)))
    if given["more"]:
        more = {"round": given["round"] + 1, "more": given["more"] - 1, "results": results}
        context.continue_as_new(given | more)
        return None
    return results


def _run(context: Context, step: Step, place: str) -> Tasks:
    match step:
        case ["status", number]:
            context.set_custom_status(number)
        case ["signal", number]:
            context.signal_entity(_counter(context), "add", number)
        case ["too late"]:
            never = context.wait_for_external_event(f"never-{place}")
            timer = _timer_of(context, 1)
            return (yield context.task_any([never, timer])) == timer
        case ["race", number, is_cancelled]:
            timer = context.create_timer(context.current_utc_datetime + timedelta(days=1))
            winner = yield context.task_any([timer, context.call_activity("double", number)])
            if is_cancelled:
                timer.cancel()
            return winner.result
        case _:
            try:
                result = yield _task(context, step, place)
            except Exception:  # noqa: BLE001 (the SDK raises nothing finer)
                return "failed"
            return None if step[0] == "timer" else result  # the SDK gives a timer's own value
    return None


def _task(context: Context, step: Step, place: str) -> Any:  # noqa: PLR0911 (one for each kind)
    match step:
        case ["call", number]:
            return context.call_activity("double", number)
        case ["timer", seconds]:
            return _timer_of(context, seconds)
        case ["event"]:
            return context.wait_for_external_event(f"event-{place}")
        case ["entity", number]:
            return context.call_entity(_counter(context), "add", number)
        case ["fails"]:
            return context.call_activity("breaks", place)
        case ["retry", failures]:
            return context.call_activity_with_retry("flaky", ATTEMPTS, {"key": place, "failures": failures})
        case ["child fails"]:
            return context.call_sub_orchestrator_with_retry("broken", ATTEMPTS, None, f"{place}-broken")
        case ["child", program, more]:
            given = {"program": program, "round": 0, "more": more, "results": []}
            return context.call_sub_orchestrator("grown", given, place)
        case ["all", steps]:
            return context.task_all([_task(context, one, f"{place}.{i}") for i, one in enumerate(steps)])
    raise AssertionError(step)


def _timer_of(context: Context, seconds: int) -> Any:
    return context.create_timer(context.current_utc_datetime + timedelta(seconds=seconds))


def _counter(context: Context) -> df.EntityId:
    return df.EntityId("counter", context.instance_id)


def broken(context: Context) -> Tasks:
    """A sub-orchestration that fails."""
    yield context.call_activity("breaks", "child")


def counter(context: Context) -> None:
    """An entity that adds."""
    total = context.get_state(lambda: 0) + context.get_input()
    context.set_state(total)
    context.set_result(total)


def app_of_programs() -> df.DFApp:
    """What programs need; made anew for each run, for an app can be asked for its functions only once."""
    app = df.DFApp()
    for orchestrator in (grown, broken):
        app.orchestration_trigger(context_name="context")(orchestrator)
    app.entity_trigger(context_name="context")(counter)

    @app.activity_trigger(input_name="number")  # type: ignore[untyped-decorator]
    def double(number: int) -> int:
        return number * 2

    @app.activity_trigger(input_name="key")  # type: ignore[untyped-decorator]
    def breaks(key: str) -> str:
        raise ValueError(key)

    @app.activity_trigger(input_name="wish")  # type: ignore[untyped-decorator]
    def flaky(wish: dict) -> str:  # type: ignore[type-arg]  # the worker knows plain types only
        TRIES[wish["key"]] = TRIES.get(wish["key"], 0) + 1
        if TRIES[wish["key"]] <= wish["failures"]:
            raise ValueError(f"try {TRIES[wish['key']]}")
        return "at last"

    return app


@dataclass(frozen=True)
class Wish:
    """An event that a program waits for in one round of one instance; its value is its name."""

    instance_id: str
    round: int
    name: str


class Meaning:
    """What a program means without any host: results, totals of its counters, and the events it needs."""

    def __init__(self, program: Program, more: int) -> None:
        self.wishes: list[Wish] = []
        self.totals: dict[str, int] = {}
        self.results = self._execution("i", program, more)

    def _execution(self, instance_id: str, program: Program, more: int) -> list[Any]:
        return [
            self._of(step, instance_id, number, f"{instance_id}-{number}.{index}")
            for number in range(more + 1)
            for index, step in enumerate(program)
        ]

    def _of(self, step: Step, instance_id: str, number: int, place: str) -> Any:  # noqa: PLR0911 (the same)
        match step:
            case ["call", value] | ["race", value, _]:
                return 2 * value
            case ["event"]:
                self.wishes.append(Wish(instance_id, number, f"event-{place}"))
                return f"event-{place}"
            case ["entity", value]:
                return self._add(instance_id, value)
            case ["signal", value]:
                self._add(instance_id, value)
            case ["too late"]:
                return True
            case ["retry", failures]:
                return "at last" if failures < 3 else "failed"
            case ["child", program, more]:
                return self._execution(place, program, more)
            case ["all", steps]:
                values = [self._of(one, instance_id, number, f"{place}.{i}") for i, one in enumerate(steps)]
                return "failed" if ["fails"] in steps else values
            case ["fails"] | ["child fails"]:
                return "failed"
        return None

    def _add(self, instance_id: str, value: int) -> int:
        self.totals[instance_id] = self.totals.get(instance_id, 0) + value
        return self.totals[instance_id]


def kinds_of(program: Program) -> Iterator[str]:
    """The kinds of all steps, nested ones included."""
    for step in program:
        yield step[0]
        if step[0] in ("all", "child"):
            yield from kinds_of(step[1])
