"""Whether a user's words ask how their jobs are, to cancel one, or to try one again; in any politeness."""

import re
from typing import Literal

import msgspec

from agent.jobs.catalog import JOBS

POLITE = re.compile(
    r"(?:(?:hi|hello|hey|please|kindly|ok|okay|oh|wait|now|just|(?:can|could|would|will) you"
    r"|i (?:want|need|wish|would like) to|i'd like to|let me)\b[\s,.!]*)+"
)
CLAUSE_ENDS = re.compile(r"[,.;:!?\n]|\bbecause\b|\bsince\b|\bas i\b")
WORD = re.compile(r"[\w']+")


def words_of(text: str) -> frozenset[str]:
    return frozenset(WORD.findall(text.lower()))


PLURALS = words_of("jobs orders requests")
ANY_JOB = PLURALS | words_of(
    "job order request it this that my the a an all of everything please now thanks thank you for me"
)
ASKING = ANY_JOB | words_of(
    "status what what's whats is are how show tell give get list see check view about on i can may do have"
    " current open running recent"
)
TRYING = words_of("try again retry to once more")


class JobCommand(msgspec.Struct, frozen=True, kw_only=True):
    """``named``: the words that say which of the jobs is meant."""

    asks: Literal["status", "cancel", "again"]
    named: frozenset[str] = frozenset()


def job_command(text: str) -> JobCommand | None:
    """The command in the words of a message; None where they hold none."""
    words = _first_clause(text)
    if not words:
        return None
    if words[0] == "cancel":
        return JobCommand(asks="cancel", named=frozenset(words[1:]) - ANY_JOB)
    said = frozenset(words)
    titles = {word for job in JOBS for word in words_of(job.title)}
    tries_again = words[0] == "retry" or (words[0] == "try" and "again" in said)
    if tries_again and said <= TRYING | ANY_JOB | titles:
        return JobCommand(asks="again", named=said - TRYING - ANY_JOB)
    is_about_jobs = "status" in said or ("my" in said and said & PLURALS) or said <= PLURALS
    if is_about_jobs and said <= ASKING | titles:
        return JobCommand(asks="status")
    return None


def _first_clause(text: str) -> list[str]:
    """The words that decide: "please cancel it, I need no laptop" asks for no laptop."""
    spoken = text.lower().replace("\u2019", "'").strip()
    polite = POLITE.match(spoken)
    rest = spoken[polite.end() :] if polite else spoken
    return WORD.findall(CLAUSE_ENDS.split(rest, maxsplit=1)[0])
