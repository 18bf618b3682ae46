"""What a sweep found on a terminal: strays with what they cost, what is missing, and what to type next."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nodestack.rendering.plan_table import bullets, section
from nodestack.rendering.units import plural, usd

_DAY_HOURS = 48


class Swept(BaseModel):
    """A node or a volume that an account holds under one of our names and that no state knows.

    Attributes:
        cloud: Kind of the cloud.
        account: Which account of it: base URL, or directory.
        what: `node` or `volume`.
        name: Its exact name.
        id: The cloud's id.
        stack: Whose it is by its name.
        in_checkout: Whether this checkout has that stack, in this account.
        region: Where it is; empty where the cloud does not say.
        age_hours: For how long it has existed; null where the cloud does not say.
        usd_per_hour: What it costs; null where the cloud does not say.
        usd_so_far: What it has cost at that price; null where the cloud does not say.
        deleted: Whether this run deleted it, until it was gone.
        problem: Why it was not deleted although it was to be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str
    account: str
    what: str
    name: str
    id: str
    stack: str
    in_checkout: bool
    region: str = ""
    age_hours: float | None = None
    usd_per_hour: float | None = None
    usd_so_far: float | None = None
    deleted: bool = False
    problem: str | None = None


class Absent(BaseModel):
    """A node or a volume that a state knows and its account no longer holds.

    Attributes:
        cloud: Kind of the cloud.
        account: Which account of it: base URL, or directory.
        what: `node` or `volume`.
        name: Its exact name.
        id: The cloud's id, as the state has it.
        stack: Whose state knows it.
        because: `preempted`, `deleted` or `failed` where the cloud says so, else `gone`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str
    account: str
    what: str
    name: str
    id: str
    stack: str
    because: str


class Report(BaseModel):
    """What a sweep found, and did.

    Attributes:
        strays: What accounts hold under our names and no state knows.
        at_work: The same, of stacks that a run is at work on: it is left alone.
        missing: What states know and accounts no longer hold.
        problems: Accounts that could not be asked, and why.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    strays: tuple[Swept, ...] = ()
    at_work: tuple[Swept, ...] = ()
    missing: tuple[Absent, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def remaining(self) -> tuple[Swept, ...]:
        """Strays that were not deleted."""
        return tuple(one for one in self.strays if not one.deleted)


def sweep_table(report: Report) -> Group:
    """Return a report: strays first, dearest above, and what to do about them last."""
    found: list[RenderableType] = [_verdict(report)]
    if report.strays:
        found += section("Stray", _things(report.strays))
    if failed := [f"{one.name} ({one.id}): {one.problem}" for one in report.strays if one.problem]:
        found += section("Not deleted", bullets(failed))
    if report.at_work:
        found += section("Left alone, since a run is at work on their stacks", _things(report.at_work))
    if report.missing:
        found += section(
            "Known to a state, gone from the account: the stack's next `up` makes them anew", _gone(report)
        )
    if steps := list(_next_steps(report)):
        found += section("Next", bullets(steps))
    return Group(*found)


def spoken_age(hours: float | None) -> str:
    """Return an age as people say it.

    >>> spoken_age(0.5), spoken_age(30.2), spoken_age(75), spoken_age(None)
    ('30 min', '30 h', '3 days', '-')
    """
    if hours is None:
        return "-"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.0f} h" if hours < _DAY_HOURS else f"{hours / 24:.0f} days"


def _verdict(report: Report) -> Text:
    left = report.remaining
    gone = len(report.strays) - len(left)
    deleted = f"{plural(gone, 'thing')} deleted and surely gone. " if gone else ""
    if not left:
        unsure = ", as far as could be asked" if report.problems else ""
        return Text(f"{deleted}Nothing is stray{unsure}.", style="bold green" if not report.problems else "bold yellow")
    hour = sum(one.usd_per_hour or 0.0 for one in left)
    so_far = sum(one.usd_so_far or 0.0 for one in left)
    untold = sum(one.usd_per_hour is None for one in left)
    more = f", {untold} of unknown price" if untold else ""
    return Text(
        f"{deleted}{plural(len(left), 'stray')}: {usd(hour)} an hour, {usd(so_far)} so far{more}.", style="bold red"
    )


def _things(things: Sequence[Swept]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for name in ("what", "name and id", "where"):
        table.add_column(name, overflow="fold")
    for name in ("age", "$ an hour", "$ so far"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in sorted(things, key=lambda each: (each.deleted, -(each.usd_per_hour or 0.0), each.name, each.id)):
        where = f"{one.cloud} {one.region}".strip()
        table.add_row(
            f"{one.what}{' (deleted)' if one.deleted else ''}",
            f"{one.name}\n{one.id}",
            where,
            spoken_age(one.age_hours),
            _amount(one.usd_per_hour, 4),
            _amount(one.usd_so_far, 2),
        )
    return table


def _amount(amount: float | None, digits: int) -> str:
    # A volume costs a fraction of a cent an hour.
    return "-" if amount is None else f"${amount:,.2f}" if amount >= 1 else f"${amount:.{digits}f}"


def _gone(report: Report) -> RenderableType:
    return bullets([f"{one.what} {one.name} ({one.id}) of stack {one.stack}: {one.because}" for one in report.missing])


def _next_steps(report: Report) -> Iterator[str]:
    left = report.remaining
    if any(one.in_checkout and one.what == "node" for one in left):
        yield "with --delete, the nodes go; the next `up` of their stack would take them up again"
    if any(one.in_checkout and one.what == "volume" for one in left):
        yield "with --delete --volumes-too, the volumes go as well, with all that is on them"
    if foreign := sorted({one.stack for one in left if not one.in_checkout}):
        yield (
            f"this checkout has no stack {', '.join(foreign)} in that account: another one may, and know what looks "
            "stray here. Such things are deleted only when they are named, with --delete NAME"
        )
