"""List prices as they were read, in US dollars; give your own by `--price NAME=DOLLARS`."""

from collections.abc import Mapping

# Read in November 2026 in copies of others, as the pages of Azure show prices to a browser only:
# docs/performance.md names the copies and their dates. An execution is one of the Flex Consumption plan.
PER = {"table": 10_000, "queue": 10_000, "execution": 1_000_000}
LISTED: Mapping[str, float] = {"table": 0.00036, "queue": 0.004, "execution": 0.40}


def dollars_of_a_million(operations: float, *, name: str, prices: Mapping[str, float]) -> float:
    """What a million times so many operations cost."""
    return operations * 1_000_000 / PER[name] * prices[name]


def price_of(text: str) -> tuple[str, float]:
    """Of ``NAME=DOLLARS``. Raises ValueError where it is no such price."""
    name, _, dollars = text.partition("=")
    if name not in PER or not dollars:
        raise ValueError(f"{text!r} is no price: give one of {', '.join(PER)}, as table=0.00036")
    price = float(dollars)
    if price < 0:
        raise ValueError(f"{text!r} is below nothing")
    return name, price
