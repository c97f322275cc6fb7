"""What a bench has measured, and the table that it makes of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from bench.field import BARE, BOTBUILDER, INBOUND, OUTBOUND, PEERS
from bench.figures import Spread, markdown, ratios, spread


class Sample(msgspec.Struct, frozen=True):
    """One program in one case of one round. ``case``: for example the stub's delay and the concurrency."""

    case: tuple[str, ...]
    program: str
    round: int
    figures: Mapping[str, float]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All samples of a bench. ``compared``: the figure whose ratios the table tells; empty for none."""

    title: str
    case_columns: Sequence[str]
    figures: Sequence[str]
    compared: str
    more_is_better: bool
    samples: Sequence[Sample]

    def table(self) -> str:
        """One row a case and program: medians with their range, and how many times the others it is."""
        cases = list(dict.fromkeys(sample.case for sample in sorted(self.samples, key=_order)))
        rows = [row for case in cases for row in self._rows(case)]
        return markdown([*self.case_columns, "program", *self.figures, *self._ratio_columns], rows)

    @property
    def _ratio_columns(self) -> list[str]:
        names = ("botbuilder", "best SDK", "bare") if self.compared else ()
        return [f"{self.compared}: x {name}" for name in names]

    def _rows(self, case: tuple[str, ...]) -> list[list[object]]:
        by_program: dict[str, list[Sample]] = defaultdict(list)
        for sample in self.samples:
            if sample.case == case:
                by_program[sample.program].append(sample)
        compared = {name: self._by_round(samples) for name, samples in by_program.items()}
        others = [compared.get(BOTBUILDER.name, {}), self._best_peer(compared), compared.get(BARE.name, {})]
        return [
            [
                *case,
                name,
                *(self._spread(by_program[name], figure) for figure in self.figures),
                *(spread(ratios(compared[name], other)) for other in others if self.compared),
            ]
            for name in sorted(by_program, key=_place)
        ]

    def _by_round(self, samples: Sequence[Sample]) -> dict[int, float]:
        return {
            sample.round: sample.figures[self.compared]
            for sample in samples
            if self.compared in sample.figures
        }

    def _best_peer(self, compared: Mapping[str, dict[int, float]]) -> dict[int, float]:
        """Of each round the best of the SDKs; which one that is may differ from round to round."""
        best: dict[int, float] = {}
        pick = max if self.more_is_better else min
        for peer in PEERS:
            for number, value in compared.get(peer.name, {}).items():
                best[number] = pick(best.get(number, value), value)
        return best

    def _spread(self, samples: Sequence[Sample], figure: str) -> Spread | None:
        return spread([sample.figures[figure] for sample in samples if figure in sample.figures])


def _order(sample: Sample) -> tuple[tuple[float, str], ...]:
    """Cases in the order of their numbers, and where they are words, of the alphabet."""
    return tuple((float(part), "") if part.isdigit() else (0.0, part) for part in sample.case)


def _place(program: str) -> tuple[int, str]:
    """The order of the field, and behind it that of the alphabet."""
    names = [known.name for known in (*INBOUND, *OUTBOUND)]
    return (names.index(program) if program in names else len(names), program)
