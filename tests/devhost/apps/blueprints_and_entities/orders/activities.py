"""Single steps of an order."""

import logging
import os
from pathlib import Path

import azure.durable_functions as df

bp = df.Blueprint()
_PRICES = {"pear": 3, "plum": 2}


@bp.activity_trigger(input_name="item")
def price_of(item: str) -> int:
    return _PRICES[item]


@bp.activity_trigger(input_name="receipt")
async def write_receipt(receipt: dict) -> str:
    tries = Path(os.environ["NOTES"]) / f"tries-{receipt['order']}"
    with tries.open("a") as file:
        file.write("x")
    if tries.stat().st_size == 1:
        raise RuntimeError("the printer is out of paper")
    return f"{receipt['order']}: {receipt['total']}"


@bp.activity_trigger(input_name="words", activity="tell")
def tell_the_customer(words: str) -> None:
    logging.info("%s", words)
