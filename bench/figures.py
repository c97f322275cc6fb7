"""Figures of several rounds: medians with their range, ratios within a round, percentiles, tables."""

from collections.abc import Mapping, Sequence
from statistics import median

import msgspec


class Spread(msgspec.Struct, frozen=True):
    """The median of some rounds and how far they lay apart."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        if self.least == self.most:
            return short(self.median)
        return f"{short(self.median)} [{short(self.least)}..{short(self.most)}]"


def spread(values: Sequence[float]) -> Spread | None:
    """None where there is nothing to tell."""
    return Spread(median(values), min(values), max(values)) if values else None


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The smallest value that ``percent`` of the values do not exceed (nearest rank)."""
    if not values:
        return None
    ordered = sorted(values)
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(int(rank) - 1, 0)]


def ratios(values: Mapping[int, float], to: Mapping[int, float]) -> list[float]:
    """Of each round that has both, how many times ``to`` the value is."""
    return [values[number] / to[number] for number in values if to.get(number)]


def short(value: float) -> str:
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def cell(value: object) -> str:
    return "-" if value is None else str(value)


def markdown(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table, its columns as wide as their widest cell."""
    texts = [list(columns), *([cell(value) for value in row] for row in rows)]
    widths = [max(len(row[place]) for row in texts) for place in range(len(columns))]
    lines = [
        "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |"
        for row in texts
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)
