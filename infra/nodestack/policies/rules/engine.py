"""What serves: an engine version that was verified, with options that it knows."""

from collections.abc import Iterator

from nodestack.catalog.engine_options import option_table
from nodestack.errors import CatalogError
from nodestack.policies.facts import Given
from nodestack.policies.rule import NoTerms, Rule, Terms


class Version(Given):
    """Which version."""

    engine_version: str


class VersionTerms(Terms):
    """Which versions count as verified.

    Attributes:
        versions: vLLM versions; none leaves it open.
    """

    versions: tuple[str, ...] = ()


def verified(given: Version, terms: VersionTerms) -> Iterator[str]:
    """Yield that a version is not among those that were verified."""
    if terms.versions and given.engine_version not in terms.versions:
        yield f"vLLM {given.engine_version} is not verified, {', '.join(terms.versions)} are"


class Options(Given):
    """Which options, of which version."""

    engine_version: str
    engine_options: tuple[str, ...]


def known(given: Options, _: NoTerms) -> Iterator[str]:
    """Yield options that the version's own parser does not have, and that there is no table to tell by."""
    try:
        table = option_table(given.engine_version).options
    except CatalogError:
        yield f"which options vLLM {given.engine_version} knows is not recorded"
        return
    names = set(table) | {alias for option in table.values() for alias in option.aliases}
    names |= {f"no-{name}" for name, option in table.items() if option.type == "boolean"}
    for name in given.engine_options:
        if name.partition(".")[0] not in names:
            yield f"vLLM {given.engine_version} has no option {name}"


RULES = (
    Rule("verified-engine", Version, VersionTerms, verified),
    Rule("known-options", Options, NoTerms, known),
)
