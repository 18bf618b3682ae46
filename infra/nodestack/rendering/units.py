"""Numbers as people read them: bytes, tokens, money."""

GIB = 2**30


def gib(size_bytes: float) -> str:
    """Return a size in GiB.

    >>> gib(28_701_118_136)
    '26.73 GiB'
    """
    return f"{size_bytes / GIB:,.2f} GiB"


def gb(size_bytes: float) -> str:
    """Return a size in GB (10^9 bytes), as disks and files are sold.

    >>> gb(403_800_000_000)
    '403.8 GB'
    """
    return f"{size_bytes / 1e9:,.1f} GB"


def count(number: float) -> str:
    """Return a whole number with its thousands apart.

    >>> count(3275586)
    '3,275,586'
    """
    return f"{number:,.0f}"


def usd(amount: float | None) -> str:
    """Return an amount in USD, to the cent; `not known` for none.

    >>> usd(10656)
    '$10,656.00'
    """
    if amount is None:
        return "not known"
    return f"-${-amount:,.2f}" if amount < 0 else f"${amount:,.2f}"


def usd_range(amounts: tuple[float, float] | None) -> str:
    """Return a range in USD.

    >>> usd_range((14.8, 21.14))
    '$14.80 to $21.14'
    """
    if amounts is None:
        return "not known"
    low, high = amounts
    return usd(low) if low == high else f"{usd(low)} to {usd(high)}"


def percent(share: float) -> str:
    """Return a share as whole percent.

    >>> percent(0.592)
    '59 %'
    """
    return f"{share * 100:,.0f} %"


def times(sequences: float) -> str:
    """Return sequences held at once, as the engine's log writes them.

    >>> times(12.4985)
    '12.50x'
    """
    return f"{sequences:,.2f}x"


def plural(number: int, thing: str) -> str:
    """Return a number of things.

    >>> plural(1, "reason"), plural(2, "reason")
    ('1 reason', '2 reasons')
    """
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def words(name: str) -> str:
    """Return a name of the program as words.

    >>> words("shared_experts")
    'shared experts'
    """
    return name.replace("_", " ")
