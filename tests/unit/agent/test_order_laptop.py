"""The example job, as its user sees it."""

from datetime import timedelta

from tests.unit.job_run import JobRun

THANKS = "Thank you for ordering a laptop. I will keep you posted with updates."
PLACED = "Great! I have successfully placed your order #1292. I'll notify you when it's delivered."
DELIVERED = "Your order #1292 (laptop) was delivered."


async def test_who_orders_a_laptop_hears_when_it_is_placed_and_when_it_is_delivered(job_run: JobRun) -> None:
    assert await job_run.ask("Please order a laptop!") == [THANKS]
    assert await job_run.step(timedelta(seconds=9)) == []
    assert await job_run.step(timedelta(seconds=1)) == [PLACED]
    assert job_run.outcome is None
    assert await job_run.step(timedelta(seconds=20)) == [DELIVERED]
    assert job_run.outcome == "done"


async def test_an_order_that_is_cancelled_is_told_of_no_more(job_run: JobRun) -> None:
    await job_run.ask("order a laptop")
    await job_run.step(timedelta(seconds=3))
    assert "I have cancelled your order #1292 (laptop)." in await job_run.ask("cancel")
    assert (job_run.outcome, await job_run.step(timedelta(days=1))) == ("cancelled", [])


async def test_an_order_that_was_delivered_is_not_cancelled_any_more(job_run: JobRun) -> None:
    await job_run.ask("order a laptop")
    await job_run.step(timedelta(seconds=30))
    assert await job_run.ask("cancel") == ["There is nothing to cancel: no job of yours is running."]
    assert job_run.outcome == "done"


async def test_an_order_service_that_is_down_is_tried_until_it_is_back(job_run: JobRun) -> None:
    place = job_run.services.orders.place

    async def down(*arguments: object, **more: object) -> None:
        raise ConnectionError("the order service is down")

    job_run.services.orders.place = down  # type: ignore[assignment]
    assert await job_run.ask("order a laptop") == [THANKS]
    job_run.services.orders.place = place  # type: ignore[method-assign]
    assert PLACED in await job_run.step(timedelta(seconds=20))
    assert job_run.outcome is None
