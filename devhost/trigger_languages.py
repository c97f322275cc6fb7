"""The little languages in which triggers are declared: an HTTP trigger's route, a timer's schedule."""

from devhost.http.route_template import compile_template
from devhost.indexing.binding_rules import Languages
from devhost.timer.schedule import parse_schedule

TRIGGER_LANGUAGES: Languages = {
    "httpTrigger": ("route", compile_template),
    "timerTrigger": ("schedule", parse_schedule),
}
