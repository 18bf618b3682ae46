"""Rules about options beside each other, on a device, or with certain weights: which of them are broken."""

from collections.abc import Iterable, Iterator, Mapping

from pydantic import JsonValue

from nodestack.catalog.engines import Device, OptionRule
from nodestack.catalog.models import Format

MULTIPLES = {
    "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
}  # fmt: skip
"""What vLLM's parser makes of the letter behind a number, in vllm/utils/argparse_utils.py."""


def broken_rules(
    rules: Iterable[OptionRule], options: Mapping[str, JsonValue], device: Device, weights: Format
) -> Iterator[tuple[OptionRule, str]]:
    """Yield each rule that these options break, with what to say of its option.

    Args:
        rules: Of an engine.
        options: The whole set, by own names; denials as false.
        device: What the engine computes on.
        weights: The format that is served.
    """
    flat = dict(_flat("", options))
    for rule in rules:
        is_quantised = "quantised" if weights.quantisation else "plain"
        if rule.device not in (None, device) or rule.weights not in (None, is_quantised):
            continue
        value = flat.get(rule.option)
        if value is None or value is False or (rule.values is not None and value not in rule.values):
            continue
        if any(flat.get(name) != wanted for name, wanted in rule.given.items()):
            continue
        said = _broken(rule, value, flat)
        if said is not None:
            yield rule, f"{rule.why}{said}"


def _broken(rule: OptionRule, value: JsonValue, options: Mapping[str, JsonValue]) -> str | None:
    """Return how a rule that holds is broken, as the end of a sentence, or None."""
    if not (rule.needs or rule.excludes or rule.at_most):
        return ""
    for name, wanted in rule.needs.items():
        found = options.get(name)
        if found is None or found is False or (wanted and found not in wanted):
            wish = f"{name}: {' or '.join(_shown(one) for one in wanted)}" if wanted else f"{name} too"
            return f": set {wish}, or leave it out"
    if rule.excludes and options.get(rule.excludes) not in (None, False):
        return f": it contradicts {rule.excludes}: {_shown(options[rule.excludes])}"
    if rule.at_most:
        number, limit = _number(value), _number(options.get(rule.at_most))
        if number is not None and limit is not None and number > limit:
            return f": {_shown(value)} is more than {rule.at_most}: {_shown(options[rule.at_most])}"
    return None


def _flat(above: str, options: Mapping[str, JsonValue]) -> Iterator[tuple[str, JsonValue]]:
    for name, value in options.items():
        yield f"{above}{name}", value
        if isinstance(value, dict):
            yield from _flat(f"{above}{name}.", value)


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    text = str(value)
    try:
        return float(text[:-1]) * MULTIPLES[text[-1]] if text[-1:] in MULTIPLES else float(text)
    except ValueError:
        return None


def _shown(value: JsonValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
