"""What `nodestack watch` may do by itself: what it buys instead of a lost node, for how much, and when a node goes."""

import re
from datetime import UTC, time, tzinfo
from typing import Annotated, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from nodestack.settings.sections import Section

Fallback: TypeAlias = Literal["region", "offer", "on_demand", "park"]
Usd = Annotated[float, Field(gt=0, allow_inf_nan=False)]

_CLOCK = r"([01]\d|2[0-3]):([0-5]\d)"
_NIGHT = re.compile(rf"{_CLOCK}-{_CLOCK}")


def _night(value: str) -> str:
    begins, _, ends = value.partition("-")
    if value and (not _NIGHT.fullmatch(value) or begins == ends):
        raise ValueError("two different times of day are needed, such as 22:00-06:30")
    return value


def _zone(name: str) -> tzinfo:
    # This one is there without the data of all others, too.
    return UTC if name == "UTC" else ZoneInfo(name)


def _time_zone(value: str) -> str:
    try:
        _zone(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no time zone that this machine knows; say it like Europe/Helsinki") from None
    return value


class WatchSettings(Section):
    """What `nodestack watch` does by itself: other nodes in place of a lost one, and when one goes that is not needed.

    Attributes:
        fallbacks: What is tried, in this order, where `node` asks for what cannot be had: `region` drops `node.region`,
            `offer` buys as offer_shape and offer_max_usd_per_hour say, `on_demand` a node that is not taken back,
            `park` keeps the volume alone until `nodestack unpark`.
        offer_shape: Node shape that `offer` buys; left out, the same.
        offer_max_usd_per_hour: Highest price that `offer` pays; left out, the same.
        on_demand_hours: Hours after which a node of `on_demand` goes, whether another can be had or not.
        on_demand_max_usd_per_hour: Highest price that `on_demand` pays; left out, the same.
        budget_usd_per_day: No node is bought that would have nodes cost more in 24 hours, its own first one included.
        idle_minutes: The stack is parked after so many minutes without a client's request; left out, never.
        night: Times of day between which the stack is parked, such as 22:00-06:30.
        timezone: Time zone of `night`.
        poll_s: Seconds between two looks.
    """

    fallbacks: tuple[Fallback, ...] = ("region",)
    offer_shape: str | None = None
    offer_max_usd_per_hour: Usd | None = None
    on_demand_hours: Annotated[float, Field(gt=0, le=8760)] = 4
    on_demand_max_usd_per_hour: Usd | None = None
    budget_usd_per_day: Usd | None = None
    idle_minutes: Annotated[int, Field(ge=5, le=10_080)] | None = None
    night: Annotated[str, AfterValidator(_night)] = ""
    timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    poll_s: Annotated[int, Field(ge=20, le=3600)] = 30

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if len(set(self.fallbacks)) < len(self.fallbacks):
            raise ValueError("watch.fallbacks names one twice: each is tried once, in the order given")
        if "park" in self.fallbacks[:-1]:
            raise ValueError(
                "watch.fallbacks has something after park: nothing is bought for a parked stack, so it is last"
            )
        if "on_demand" in self.fallbacks and "park" not in self.fallbacks:
            raise ValueError(
                "watch.fallbacks has on_demand without park: when its hours are over and nothing else can be had, the "
                "node goes; end the list with park"
            )
        if "offer" in self.fallbacks and not (self.offer_shape or self.offer_max_usd_per_hour):
            raise ValueError("watch.fallbacks has offer: say offer_shape, offer_max_usd_per_hour or both")
        return self

    @property
    def night_hours(self) -> tuple[time, time] | None:
        """When the night begins and ends, by the clock of `zone`; None where there is none."""
        if not self.night:
            return None
        begins, _, ends = self.night.partition("-")
        return time.fromisoformat(begins), time.fromisoformat(ends)

    @property
    def zone(self) -> tzinfo:
        """The time zone of `night`."""
        return _zone(self.timezone)
