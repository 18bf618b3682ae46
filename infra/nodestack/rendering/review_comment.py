"""A preview as a comment in Markdown: whether it may be done, what it costs before and after, what it does."""

from collections.abc import Iterator

from nodestack.review.preview import Finding, Preview, Price

_WORDS = {
    "usd_per_hour": "USD an hour",
    "usd_per_month": "USD a month",
    "usd_per_million_output_tokens": "USD a million output tokens",
}


def marker(stack: str) -> str:
    """Return the line by which the comment of a stack is found again, to be replaced."""
    return f"<!-- nodestack review of {stack} -->"


def comment(stack: str, preview: Preview, *, deployed: bool) -> str:
    """Return the comment on a preview; `deployed` says whether it was held against a state or against nothing."""
    refusals = preview.refusals
    against = "" if deployed else " It is not deployed yet: all of it would be new."
    lines = [marker(stack), f"### nodestack: stack `{stack}` {'is refused' if refusals else 'may be brought up'}", ""]
    if against:
        lines += [against.strip(), ""]
    lines += _listed("Refused because", refusals)
    lines += _costs(preview.prices)
    done = [f"{each.op} `{each.kind}` {each.name}" for each in preview.operations]
    lines += _listed("Would be done", done) if done else ["Nothing would be done.", ""]
    lines += _listed("Advice", list(dict.fromkeys(_advice(preview.findings))))
    return "\n".join(lines)


def _listed(title: str, entries: list[str]) -> list[str]:
    return [f"**{title}**", "", *(f"* {_plain(entry)}" for entry in entries), ""] if entries else []


def _costs(prices: tuple[Price, ...]) -> Iterator[str]:
    if not prices:
        return
    yield from ("| cost | deployed | planned | change |", "|---|--:|--:|--:|")
    for price in prices:
        for name, words in _WORDS.items():
            before, after = price.deployed.get(name), price.planned.get(name)
            yield f"| {_plain(price.name)}: {words} | {_usd(before)} | {_usd(after)} | {_change(before, after)} |"
    yield ""


def _advice(findings: tuple[Finding, ...]) -> Iterator[str]:
    return (f"{each.policy}: {each.message}" for each in findings if each.level != "mandatory")


def _usd(price: float | None) -> str:
    return "-" if price is None else f"{price:,.2f}"


def _change(before: float | None, after: float | None) -> str:
    return "-" if before is None or after is None else f"{after - before:+,.2f}"


def _plain(text: str) -> str:
    """Return text that Markdown and HTML leave as it is: messages may hold what somebody else wrote."""
    return text.replace("<", "&lt;").replace("|", "\\|").replace("@", "&#64;")
