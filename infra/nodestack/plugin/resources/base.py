"""What every resource of the plugin is made of: typed arguments and outputs, and the operations the servicer calls."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from nodestack.clouds.base import Account, Cloud, Progress
from nodestack.errors import NodestackError
from nodestack.plugin.diff import Difference
from nodestack.plugin.interrupt import LAST_LOOK_S, until_cancelled
from nodestack.plugin.properties import UNKNOWN, Plain, Properties, Unknown


class Typed(BaseModel):
    """Base of arguments and outputs: frozen, named in camelCase as Pulumi's properties are, and discreet in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, hide_input_in_errors=True
    )


class Args(Typed):
    """Arguments every resource has.

    Attributes:
        account: The cloud account it lives in.
    """

    account: Account


if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

A = TypeVar("A", bound=Args)
O = TypeVar("O", bound=Typed)  # noqa: E741 - pairs with A
Result = TypeVar("Result")


@dataclass(frozen=True)
class Call:
    """What an operation may use.

    Attributes:
        progress: Takes short lines about what is going on.
        cancelled: Set when the engine asked to stop.
        open_account: Returns the client of an account.
        timeout_s: Seconds the stack allows the operation; 0 where it names none.
    """

    progress: Progress
    cancelled: Event
    open_account: Callable[[Account], Cloud]
    timeout_s: float = 0

    def run(self, work: Callable[[], Result]) -> Result:
        """Do work that must not keep the engine waiting once it asked to stop."""
        return until_cancelled(work, self.cancelled)

    def find_left_behind(self, find: Callable[[], Result | None]) -> Result | None:
        """Look for what came of work that failed or was left behind; None also when that cannot be seen in time."""
        try:
            return until_cancelled(find, self.cancelled, LAST_LOOK_S)
        except NodestackError:
            return None


@dataclass(frozen=True)
class Made(Generic[O]):
    """A resource that exists.

    Attributes:
        resource_id: Its id.
        outputs: What is known of it.
        failure: Why it is not as it should be; the next run goes on from there.
    """

    resource_id: str
    outputs: O
    failure: Exception | None = None


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the arguments.

    Attributes:
        path: The property, e.g. "document.weights_commit"; "" for the whole.
        reason: What was found and what to do.
    """

    path: str
    reason: str = field(compare=False)


class Resource(ABC, Generic[A, O]):
    """One type of resource. Create and Update return what exists even where they failed; raising means nothing does."""

    token: ClassVar[str]
    args_type: type[A]
    outputs_type: type[O]

    def parse(self, properties: Properties) -> A:
        """Return checked inputs as arguments; what an older or newer version wrote besides is passed over.

        Raises:
            ValidationError: Something this version needs is missing.
        """
        return self.args_type.model_validate(properties, extra="ignore")

    def parse_outputs(self, properties: Properties) -> O:
        """Return recorded outputs; those of a version that recorded others come back as if nothing were known."""
        try:
            return self.outputs_type.model_validate(properties, extra="ignore")
        except ValidationError:
            return self.outputs_type()

    def check(self, olds: Properties, news: Properties) -> list[Problem]:
        """Return everything wrong with new inputs; values that are not known yet are taken to be right."""
        try:
            self.args_type.model_validate(news, by_alias=True, by_name=False)
        except ValidationError as error:
            return [
                Problem(".".join(str(part) for part in item["loc"]), self._sentence(item))
                for item in error.errors(include_url=False, include_context=False)
                if not _is_unknown(news, item["loc"])
            ]
        return []

    def _sentence(self, problem: "ErrorDetails") -> str:
        if problem["type"] == "extra_forbidden":
            return "this is not known: check how it is spelt"
        message = problem["msg"].removeprefix("Value error, ")
        found = problem["input"]
        discreet = isinstance(found, str | int | float) and problem["loc"][0] not in self._secret_names()
        return f"{message}, found {found!r}" if discreet else message

    def _secret_names(self) -> set[str]:
        fields = self.args_type.model_fields.items()
        return {info.alias or name for name, info in fields if "SecretStr" in repr(info.annotation)}

    @abstractmethod
    def diff(self, old_inputs: Properties, news: Properties, outputs: O) -> Difference:
        """Return what an update would change; raise a NodestackError for what is refused."""

    def preview(self, news: Properties, outputs: O | None) -> Properties:
        """Return the outputs a Create (no old outputs) or Update is going to have, UNKNOWN where that is open."""
        return {info.alias or name: UNKNOWN for name, info in self.outputs_type.model_fields.items()}

    @abstractmethod
    def create(self, args: A, call: Call) -> Made[O]:
        """Make it, or adopt what a former run left."""

    @abstractmethod
    def read(self, resource_id: str, args: A, outputs: O, call: Call) -> O | None:
        """Return the outputs as they are now, None when it is surely gone; cheap, changes nothing."""

    @abstractmethod
    def update(self, resource_id: str, args: A, outputs: O, call: Call) -> Made[O]:
        """Go on from whatever is there to what the arguments say."""

    @abstractmethod
    def delete(self, resource_id: str, args: A, outputs: O, call: Call) -> None:
        """Make it gone; what is gone already is no error."""


def dump(outputs: Typed) -> Properties:
    """Return outputs as properties; SecretStr stays itself and is marked secret by `properties.encode`."""
    return outputs.model_dump(by_alias=True)


def _is_unknown(properties: Plain, location: tuple[int | str, ...]) -> bool:
    at: Plain = properties
    for part in location:
        # A part may also name a step of the validation, such as "function-before": that is no place in the value.
        if isinstance(at, dict):
            at = at.get(str(part), at)
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
    return isinstance(at, Unknown)
