"""What an answer of the chat completions API that is none means: one error of the Answerer port for each."""

import math
from collections.abc import Mapping
from datetime import timedelta

import openai

from agent.ports import AnswererBusy, AnswererError, AnswererRefused, AnswererUnusable

CUT_OFF = timedelta(seconds=2)
BUSY = timedelta(seconds=5)  # where nothing tells for how long
# Azure OpenAI's filter answers 400 to what was asked; OpenAI's policies answer the same with other codes.
REFUSALS = frozenset(
    {
        "content_filter",
        "content_policy_violation",
        "invalid_prompt",
        "context_length_exceeded",
        "string_above_max_length",
    }
)
NOT_PAID = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


def error_of(error: openai.APIError) -> AnswererError:
    """The port's error; its message names status and code, for the API's own words may quote the question."""
    code = error.code or ""
    if code in REFUSALS:
        return AnswererRefused(f"the answerer refused: {code}")
    if not isinstance(error, openai.APIStatusError):
        # No connection, no answer in time, a stream that was cut, or an error in its midst.
        return AnswererBusy(f"no answer: {type(error).__name__} {code}".strip(), retry_after=BUSY)
    told = f"the answerer answered {error.status_code} {code}".strip()
    if error.status_code == 413:
        return AnswererRefused(told)
    may_pass = error.status_code in (408, 409, 429) or error.status_code >= 500
    if may_pass and code not in NOT_PAID:
        return AnswererBusy(told, retry_after=_retry_after(error.response.headers))
    return AnswererUnusable(told)


def _retry_after(headers: Mapping[str, str]) -> timedelta:
    """As the answerer says: in milliseconds (its own header) or seconds; BUSY where it says neither."""
    for name, unit in (("retry-after-ms", timedelta(milliseconds=1)), ("retry-after", timedelta(seconds=1))):
        try:
            told = float(headers.get(name, ""))
        except ValueError:
            continue
        if math.isfinite(told) and 0 <= told <= 24 * 3600 * 1000:
            return told * unit
    return BUSY
