"""Medians, ratios within a round, percentiles, and the table made of them."""

from bench.comparison import Comparison, Sample
from bench.figures import Spread, markdown, percentile, ratios, short, spread


def test_a_spread_is_the_median_with_its_range() -> None:
    told = spread([3.0, 1.0, 10.0])
    assert told == Spread(3.0, 1.0, 10.0)
    assert str(told) == "3.00 [1.00..10.0]"


def test_a_single_value_has_no_range_and_none_has_no_spread() -> None:
    assert str(spread([2.5])) == "2.50"
    assert spread([]) is None


def test_a_percentile_is_the_nearest_rank() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99)) == (50.0, 99.0)
    assert percentile([5.0], 99) == 5.0
    assert percentile([], 50) is None


def test_ratios_are_taken_within_a_round_and_only_where_both_were_measured() -> None:
    assert ratios({0: 10.0, 1: 30.0, 2: 1.0}, {0: 5.0, 1: 10.0}) == [2.0, 3.0]


def test_numbers_have_three_digits_that_count() -> None:
    assert [short(value) for value in (0, 0.123, 12.34, 1234.5)] == ["0", "0.12", "12.3", "1234"]


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert markdown(["a", "long"], [["wide", None]]) == "| a    | long |\n|------|------|\n| wide | -    |"


def comparison(*, more_is_better: bool) -> Comparison:
    rates = {
        "botbuilder": [10.0, 20.0],
        "Agents SDK": [40.0, 50.0],
        "Teams SDK": [50.0, 40.0],
        "Afterword, turn alone": [100.0, 100.0],
    }
    samples = [
        Sample((case,), name, number, {"req/s": value})
        for case in ("64", "16")
        for name, values in reversed(rates.items())
        for number, value in enumerate(values)
    ]
    return Comparison(
        title="",
        case_columns=("c",),
        figures=("req/s",),
        compared="req/s",
        more_is_better=more_is_better,
        samples=samples,
    )


def rows(table: str) -> list[list[str]]:
    return [[part.strip() for part in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_a_table_tells_how_many_times_each_of_the_others_a_program_is_in_the_same_round() -> None:
    told = rows(comparison(more_is_better=True).table())
    assert [row[:2] for row in told[:4]] == [
        ["16", "botbuilder"],
        ["16", "Agents SDK"],
        ["16", "Teams SDK"],
        ["16", "Afterword, turn alone"],
    ]
    assert told[3] == ["16", "Afterword, turn alone", "100", "7.50 [5.00..10.0]", "2.00", "-"]
    assert told[4][0] == "64"


def test_where_less_is_better_the_best_sdk_is_the_one_with_the_least() -> None:
    told = rows(comparison(more_is_better=False).table())
    assert told[3][4] == "7.50 [5.00..10.0]"
