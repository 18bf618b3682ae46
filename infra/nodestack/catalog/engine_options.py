"""Every option of a vLLM version as its own parser knows it; the tables are written by tools/option_tables.py."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import JsonValue, ValidationError

from nodestack.catalog.entry import Entry, Fact
from nodestack.errors import CatalogError

TABLES = Path(__file__).parent / "engines" / "options"

OptionType = Literal[
    "boolean",
    "flag",
    "integer",
    "size",
    "size_or_auto",
    "number",
    "text",
    "json",
    "text_or_json",
    "adapter",
    "config",
    "any",
]


class Option(Entry):
    """One option, or one key of an option that is a group.

    Attributes:
        type: What the parser makes of its value. `boolean` can be denied with `no-` in front, `flag` cannot; `size` is
            an integer that may end in k, m, g, t (powers of 1000) or K, M, G, T (of 1024), `size_or_auto` also "auto"
            or -1; `adapter` is `name=path` or an object with both; `config` has keys, and takes JSON as well; `any`
            is a key that its configuration class does not describe simply.
        choices: All values it takes, where the parser has a list.
        many: Takes several values. Options that may be given several times take one each, and a file gives them once.
        default: The parser's own, where it is one value on every platform.
        deprecated: Still taken, and announced to go.
        aliases: Other long names of it.
        keys: What a `config` holds, by name.
    """

    type: OptionType
    choices: tuple[JsonValue, ...] | None = None
    many: bool = False
    default: JsonValue = None
    deprecated: bool = False
    aliases: tuple[str, ...] = ()
    keys: dict[str, "Option"] | None = None


class OptionTable(Fact):
    """What a version's parser takes, and the names that its registries know but its parser does not check.

    Attributes:
        version: Of vLLM.
        options: By name without dashes in front.
        deprecated_quantization_methods: Refused unless `allow-deprecated-quantization` is set.
    """

    version: str
    options: dict[str, Option]
    tool_call_parsers: tuple[str, ...]
    reasoning_parsers: tuple[str, ...]
    quantization_methods: tuple[str, ...]
    deprecated_quantization_methods: tuple[str, ...]
    kv_cache_dtypes: tuple[str, ...]
    load_formats: tuple[str, ...]
    structured_outputs_backends: tuple[str, ...]


@cache
def option_table(version: str) -> OptionTable:
    """Return the table of one version; no other version's is read.

    Raises:
        CatalogError: There is no table of this version, or it is malformed.

    >>> option_table("0.23.0").options["max-num-seqs"].type
    'integer'
    """
    path = TABLES / f"{version}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in TABLES.glob("*.yaml")))
        raise CatalogError(f"no table of options for vLLM {version}, known are: {known}")
    data = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where built
    try:
        return OptionTable.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"catalogue file {path.name} of options: {field}: {first['msg']}") from error


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
