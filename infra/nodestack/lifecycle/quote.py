"""What a machine would cost now: a cloud's offers asked once, within seconds, for plans and previews."""

import queue
from collections.abc import Callable
from datetime import date
from threading import Thread

from nodestack import clouds
from nodestack.catalog.prices import Rate
from nodestack.clouds.base import Account, Offer
from nodestack.clouds.http import Patience
from nodestack.errors import AmbiguousError, CloudError, NodestackError
from nodestack.lifecycle.choose import Wish, fitting, why_none

TIMEOUT_S = 5.0


def quote(account: Account, wish: Wish, today: date, timeout_s: float = TIMEOUT_S) -> Rate:
    """Return the price of the cheapest machine that an order would choose now.

    One listing, no attempt is repeated: a plan must not wait for a cloud, the price list has a price as well.

    Args:
        account: Who is asked.
        wish: What the machine must be.
        today: Date of the price.
        timeout_s: Seconds for all of it.

    Raises:
        CloudError: Nothing fits, or the account cannot be asked; the message says which.
        AmbiguousError: There was no clear answer in time.
    """
    cloud = clouds.open_account(account, Patience(timeout_s=timeout_s, attempts=1))
    offers = _within(timeout_s, lambda: cloud.offers(wish.query), account.kind)
    fit = [offer for offer in fitting(offers, wish) if offer.usd_per_hour > 0]
    if not fit:
        raise CloudError(why_none(offers, wish))
    cheapest = fit[0]
    return Rate(
        usd_per_hour=cheapest.usd_per_hour,
        cloud=account.kind,
        source=f"{account.kind}'s own offers, the cheapest of {len(fit)}: {cheapest.provider} in {cheapest.region}",
        date=today,
    )


def _within(timeout_s: float, ask: Callable[[], tuple[Offer, ...]], whom: str) -> tuple[Offer, ...]:
    answers: queue.SimpleQueue[tuple[Offer, ...] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put(ask())
        except Exception as error:
            answers.put(error)

    # Left behind when time is up; it ends with its process.
    Thread(target=work, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise AmbiguousError(f"{whom} did not list its offers within {timeout_s:g} s") from None
    if isinstance(answer, NodestackError):
        raise answer
    if isinstance(answer, Exception):
        raise AmbiguousError(f"{whom} could not be asked for its offers ({type(answer).__name__})") from answer
    return answer
