"""What guides of vLLM say and a version does otherwise, be it a flag, a metric or a command, with what replaces it."""

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import JsonValue, TypeAdapter, ValidationError

from nodestack.catalog.engines import Kind, Weights
from nodestack.catalog.entry import Fact
from nodestack.errors import CatalogError

FILE = Path(__file__).parent / "corrections.yaml"

Subject = Literal["option", "environment", "metric", "field", "command", "default"]


class Correction(Fact):
    """One thing that is said and is not so.

    Attributes:
        guide: What is said, as it stands there.
        subject: What kind of name it is; a `default` is a claim about what happens when nothing is set.
        name: Option without dashes, variable, metric, field of a reply, or command.
        value: The value that is wrong; None where the name is, whatever its value.
        versions: vLLM versions this was seen with.
        weights: The weights it holds for; None for all.
        kind: Who notices, and when.
        what: What happens, as a clause.
        instead: What replaces it.
        renamed_to: An option that means the same under another name; nodestack writes that, and says so.
        dropped: It says what is so anyway; nodestack leaves it out, and says so.
    """

    guide: str
    subject: Subject
    name: str
    value: JsonValue = None
    versions: tuple[str, ...]
    weights: Weights | None = None
    kind: Kind
    what: str
    instead: str
    renamed_to: str | None = None
    dropped: bool = False


@cache
def corrections() -> tuple[Correction, ...]:
    """Return all corrections.

    Raises:
        CatalogError: Their file is malformed; the message names entry and field.
    """
    data = yaml.load(FILE.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 - a safe loader, in C where built
    try:
        return TypeAdapter(tuple[Correction, ...]).validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise CatalogError(f"catalogue file {FILE.name}: {field}: {first['msg']}") from error


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
