"""Check engine options before there is an engine: against the version's table, its rules, and what guides get wrong."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from nodestack.catalog.corrections import Correction
from nodestack.catalog.engine_options import OptionTable
from nodestack.catalog.engines import Device, Engine, Kind
from nodestack.catalog.models import Format, Model
from nodestack.planning import unverified
from nodestack.planning.option_rules import broken_rules
from nodestack.planning.option_values import canonical_name, closest, misfits
from nodestack.planning.options import OWNED

FindingKind = Literal[Kind, "contradiction", "owned", "note"]

NOTICED: dict[str, str] = {
    "parser": "vLLM {version} refuses it at once",
    "configuration": "vLLM {version} ends while it makes its configuration",
    "load": "vLLM {version} ends while it loads the weights, minutes in",
    "silent": "vLLM {version} says nothing",
    "policy": "nodestack refuses it",
}
"""What each kind means, for the reader of one line."""


class Finding(BaseModel):
    """One thing that is wrong with an option, or worth a word.

    Attributes:
        kind: Who would refuse it, and when; a `note` refuses nothing.
        option: Its own name, without dashes.
        text: The whole of it, for a person.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FindingKind
    option: str
    text: str


class Checked(BaseModel):
    """What became of a stack's own options.

    Attributes:
        options: By their own names, keys of groups together, renamed ones renamed, denials as false.
        findings: Everything that was found, in the order of the options.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    options: dict[str, JsonValue]
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> list[str]:
        """Why these options cannot be, one line each."""
        return [finding.text for finding in self.findings if finding.kind != "note"]

    @property
    def warnings(self) -> list[str]:
        """What should be known of them, one line each."""
        return [finding.text for finding in self.findings if finding.kind == "note"]


@dataclass(frozen=True)
class Checker:
    """Checks options for one engine, model and device.

    Attributes:
        engine: The version's rules.
        table: Its options.
        corrections: What guides get wrong.
        model: Whose parsers are the right ones.
        weights: The format that is served.
        device: What the engine computes on.
    """

    engine: Engine
    table: OptionTable
    corrections: tuple[Correction, ...]
    model: Model
    weights: Format
    device: Device

    def check(self, extra: Mapping[str, JsonValue], planned: Mapping[str, JsonValue]) -> Checked:
        """Return what is wrong with a stack's own options, all of it at once.

        Args:
            extra: A stack's own options, by name without dashes, as somebody wrote them.
            planned: What nodestack sets itself; rules look at both together.
        """
        options: dict[str, JsonValue] = {}
        findings: list[Finding] = []
        for name, value in extra.items():
            findings += self._enter(options, name, value)
        for name, value in list(options.items()):
            findings += self._judge(name, value)
            options[name] = self._as_one_word(name, value)
        for rule, said in broken_rules(self.engine.rules, {**planned, **options}, self.device, self.weights):
            text = f"{self._where(rule.option, options)} {said} ({self._noticed(rule.kind)})"
            findings.append(Finding(kind=rule.kind, option=rule.option, text=text))
        return Checked(options=options, findings=tuple(dict.fromkeys(findings)))

    def environment(self, variables: Mapping[str, str]) -> list[Finding]:
        """Return what guides get wrong about variables of the engine's environment."""
        return [
            Finding(kind="note", option=correction.name, text=f"engine.environment.{self._corrected(correction)}")
            for correction in self._corrections("environment")
            if correction.name in variables
        ]

    def _enter(self, options: dict[str, JsonValue], name: str, value: JsonValue) -> Iterator[Finding]:
        """Put one option under its own name, or say why not."""
        own, key, denied = canonical_name(name, self.table)
        value_meant = False if denied else value
        correction = self._correction(own, value_meant)
        if correction and (correction.renamed_to or correction.dropped):
            yield Finding(kind="note", option=own, text=f"serving.options.{self._corrected(correction)}")
            if correction.dropped or correction.renamed_to is None:
                return
            own, _, key = correction.renamed_to.partition(".")
        elif correction:
            yield Finding(kind=correction.kind, option=own, text=f"serving.options.{self._corrected(correction)}")
            return
        if own not in self.table.options:
            said = f"is no option of vLLM {self.table.version}{closest(own, self.table.options)}"
            yield Finding(kind="parser", option=own, text=f"serving.options.{name} {said}")
            return
        if own in OWNED:
            said = f"serving.options.{name} is not a free option: nodestack sets it from {OWNED[own]}"
            yield Finding(kind="owned", option=own, text=said)
            return
        if denied and value is not True:
            said = f"serving.options.{name} is {value!r}: say {own}: true, or {name}: true"
            yield Finding(kind="parser", option=own, text=said)
            return
        if self.table.options[own].type == "flag" and value is False:
            # What cannot be denied is so by saying nothing.
            return
        yield from self._put(options, own, key, value_meant)

    def _put(self, options: dict[str, JsonValue], own: str, key: str, value: JsonValue) -> Iterator[Finding]:
        if key:
            for part in reversed(key.split(".")):
                value = {part: value}
        before = options.get(own)
        if before is None:
            options[own] = value
        elif isinstance(before, dict) and isinstance(value, dict) and not before.keys() & value.keys():
            options[own] = {**before, **value}
        else:
            said = f"serving.options.{own} is said twice, under different names: {before!r} and {value!r}"
            yield Finding(kind="contradiction", option=own, text=said)

    def _as_one_word(self, name: str, value: JsonValue) -> JsonValue:
        """Return a list that the parser wants as JSON as such: it would get words."""
        wants_json = self.table.options[name].type == "json" and not self.table.options[name].many
        return json.dumps(value) if wants_json and isinstance(value, list) else value

    def _judge(self, name: str, value: JsonValue) -> Iterator[Finding]:
        option = self.table.options[name]
        wrong = list(misfits(name, option, value))
        for said in wrong:
            yield Finding(kind="parser", option=name, text=self._line(said, "parser"))
        if wrong:
            return
        for path, why in unverified.in_option(name, value):
            yield Finding(kind="policy", option=name, text=self._line(f"{path} {why}", "policy"))
        unknown = list(self._unknown_names(name, value))
        yield from unknown or self._unlike_the_model(name, value)
        if option.deprecated:
            said = f"serving.options.{name} is deprecated in vLLM {self.table.version}: a later version refuses it"
            yield Finding(kind="note", option=name, text=said)
        if name in self.engine.unplanned and value is not False:
            said = f"serving.options.{name} is not in the plan: {self.engine.unplanned[name]}"
            yield Finding(kind="note", option=name, text=said)

    def _unknown_names(self, name: str, value: JsonValue) -> Iterator[Finding]:
        """Yield names that the parser takes and the engine's registries do not have."""
        registries: dict[str, tuple[tuple[str, ...], Kind]] = {
            "tool-call-parser": (self.table.tool_call_parsers, "configuration"),
            "reasoning-parser": (self.table.reasoning_parsers, "configuration"),
            "quantization": (self.table.quantization_methods, "configuration"),
            "load-format": (self.table.load_formats, "load"),
        }
        if name in registries:
            known, kind = registries[name]
            if value not in known:
                said = f"is {value!r}, known are: {', '.join(known)}{closest(str(value), dict.fromkeys(known))}"
                yield Finding(kind=kind, option=name, text=self._line(f"{name} {said}", kind))

    def _unlike_the_model(self, name: str, value: JsonValue) -> Iterator[Finding]:
        """Yield what the engine takes and this model or checkpoint makes wrong."""
        parsers = {"tool-call-parser": self.model.tool_call_parser, "reasoning-parser": self.model.reasoning_parser}
        if name in parsers and parsers[name] != value:
            own = parsers[name]
            use = (
                f"{self.model.family} writes what {own} reads, leave it out" if own else f"{self.model.family} has none"
            )
            said = f"is {value!r}: {use}; another one passes what it does not recognise on as plain text"
            yield Finding(kind="silent", option=name, text=self._line(f"{name} {said}", "silent"))
        if name == "quantization":
            method = self.weights.quantisation.method if self.weights.quantisation else None
            if method == value:
                said = f"serving.options.quantization is {value!r}, which the engine reads from the checkpoint anyway"
                yield Finding(kind="note", option=name, text=said)
            elif method:
                said = f"is {value!r}, and the checkpoint's configuration says {method}: leave it out"
                yield Finding(kind="configuration", option=name, text=self._line(f"{name} {said}", "configuration"))
            else:
                said = (
                    f"is {value!r} for plain weights, whose size the plan reckons with: choose a quantised model.format"
                )
                yield Finding(kind="policy", option=name, text=self._line(f"{name} {said}", "policy"))

    def _corrections(self, subject: str) -> Iterator[Correction]:
        for correction in self.corrections:
            if correction.subject == subject and self.table.version in correction.versions:
                yield correction

    def _correction(self, name: str, value: JsonValue) -> Correction | None:
        weights = "quantised" if self.weights.quantisation else "plain"
        right = (self.model.tool_call_parser, self.weights.quantisation.method if self.weights.quantisation else None)
        for correction in self._corrections("option"):
            is_meant = correction.value is None or (correction.value == value and value not in right)
            if correction.name == name and is_meant and correction.weights in (None, weights):
                return correction
        return None

    def _corrected(self, correction: Correction) -> str:
        wrong = correction.value
        value = "" if wrong is None else f": {wrong if isinstance(wrong, str) else json.dumps(wrong)}"
        done = ""
        if correction.renamed_to:
            done = f"; written as {correction.renamed_to}"
        elif correction.dropped:
            done = "; left out"
        noticed = self._noticed(correction.kind)
        return f"{correction.name}{value} {correction.what} ({noticed}); instead: {correction.instead}{done}"

    def _line(self, said: str, kind: Kind) -> str:
        return f"serving.options.{said} ({self._noticed(kind)})"

    def _where(self, name: str, options: Mapping[str, JsonValue]) -> str:
        """Return the setting that an option comes from."""
        own = name.partition(".")[0]
        return f"serving.options.{name}" if own in options or own not in OWNED else OWNED[own]

    def _noticed(self, kind: Kind) -> str:
        return NOTICED[kind].format(version=self.table.version)
