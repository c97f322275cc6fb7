"""The job that the benches of jobs ask for: be reminded at a given moment, which many may share."""

import re

ASKED = re.compile(r"^remind me at (\d+\.\d+)$", re.IGNORECASE)
ACKNOWLEDGEMENT = "I will remind you."


def request(due: float) -> str:
    """What a user says to be reminded then; ``due`` in seconds of the Unix clock."""
    return f"Remind me at {due:.3f}"


def due_of(text: str) -> float | None:
    """The moment that the words ask for; None where they ask for something else."""
    asked = ASKED.match(text)
    return float(asked[1]) if asked else None
