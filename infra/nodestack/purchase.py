"""What a stack buys: which machine it looks for among a cloud's offers, and what it costs today."""

from collections.abc import Callable
from datetime import UTC, datetime

from nodestack.catalog import Catalog
from nodestack.clouds.base import Account
from nodestack.components.purchase import Purchase
from nodestack.errors import CloudError
from nodestack.lifecycle.choose import Wish, query_of
from nodestack.settings import Request, Settings

_NOTHING_FOR_SALE = frozenset({"local", "ssh"})


def of(settings: Settings, catalog: Catalog) -> Purchase | None:
    """Return which machine a stack buys, None where its cloud has one thing only.

    Raises:
        CloudError: The shape is of several machines.
    """
    if settings.cloud.kind in _NOTHING_FOR_SALE:
        return None
    node = settings.node
    query = query_of(catalog.shape(node.shape), node.market, node.region)
    return Purchase(query, node.image, node.max_usd_per_hour)


def priced_today(request: Request, account: Account, bought: Purchase, tell: Callable[[str], None]) -> Request:
    """Return the request with the price that the cloud asks now; as it is where the stack or nobody names one.

    Args:
        request: What is planned; a plan's cost says where its price is from.
        account: Who is asked.
        bought: What for.
        tell: Takes a line where the cloud named no price.
    """
    if request.cost.live_price is not None:
        return request
    # Imported when needed: most stacks of this machine ask nobody over HTTP.
    from nodestack.lifecycle.quote import quote  # noqa: PLC0415

    wish = Wish(query=bought.query, image=bought.image, max_usd_per_hour=bought.max_usd_per_hour)
    try:
        rate = quote(account, wish, datetime.now(UTC).date())
    except CloudError as error:
        tell(f"the cost is that of the price list, {account.kind} named no price: {error}")
        return request
    return request.model_copy(update={"cost": request.cost.model_copy(update={"live_price": rate})})
