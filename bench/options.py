"""What a bench is told on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from bench.prices import LISTED
from bench.programs import BenchError, Program

QUICK_SECONDS = 0.8


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """``only``: a part of the names of the programs to measure; empty for all. ``is_unsigned``: inbound
    without tokens. ``concurrencies``: how many are under way; empty for the bench's usual ones."""

    logs: Path
    is_quick: bool = False
    rounds: int | None = None
    only: Sequence[str] = ()
    is_unsigned: bool = False
    concurrencies: Sequence[int] = ()
    prices: Mapping[str, float] = msgspec.field(default_factory=lambda: LISTED)

    def rounds_or(self, usual: int) -> int:
        return self.rounds or (1 if self.is_quick else usual)

    def concurrencies_or(self, usual: Sequence[int]) -> Sequence[int]:
        return self.concurrencies or usual

    def seconds(self, usual: float) -> float:
        return QUICK_SECONDS if self.is_quick else usual

    def chosen(self, programs: Sequence[Program]) -> list[Program]:
        """Those to measure. Raises BenchError when there are none."""
        chosen = [
            program
            for program in programs
            if not self.only or any(part.lower() in program.name.lower() for part in self.only)
        ]
        if not chosen:
            names = ", ".join(program.name for program in programs)
            raise BenchError(f"--only names none of {names}")
        return chosen
