"""Describe every option of this environment's `vllm serve` as JSON on stdout: runs with the engine's own Python."""

import argparse
import dataclasses
import enum
import json
import sys
import types
import typing
from collections.abc import Callable
from typing import Any

# vLLM reads its own documentation, where deprecations stand, only when help is asked for; nothing else looks here.
sys.argv = [sys.argv[0], "--help"]

from vllm.config import cache, structured_outputs  # noqa: E402
from vllm.entrypoints.cli import serve  # noqa: E402
from vllm.model_executor.layers import quantization  # noqa: E402
from vllm.model_executor.model_loader import _LOAD_FORMAT_TO_MODEL_LOADER  # noqa: E402
from vllm.reasoning import ReasoningParserManager  # noqa: E402
from vllm.tool_parsers import ToolParserManager  # noqa: E402
from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: E402

Description = dict[str, Any]
SCALARS = {bool: "boolean", int: "integer", float: "number", str: "text"}
# How the parser's own converters are called, and what they take.
CONVERTERS = {
    "human_readable_int": "size",
    "human_readable_int_or_auto": "size_or_auto",
    "int": "integer",
    "float": "number",
    "str": "text",
    "loads": "json",
    "union_dict_and_str": "text_or_json",
}
DEPRECATED = ("is deprecated", "are deprecated", "[deprecated", "deprecated:", "deprecated in ", "deprecated and")
NOT_OPTIONS = {"help", "config"}


def main() -> None:
    """Print the description."""
    root = FlexibleArgumentParser(prog="vllm")
    parser = serve.ServeSubcommand().subparser_init(root.add_subparsers(dest="subparser"))
    options = {}
    for action in parser._actions:
        if action.option_strings and action.dest not in NOT_OPTIONS:
            name, *more = [word.removeprefix("--") for word in action.option_strings if word.startswith("--")]
            aliases = [word for word in more if word != f"no-{name}"]
            options[name] = _option(action) | ({"aliases": sorted(aliases)} if aliases else {})
    described = {
        "options": options,
        "tool_call_parsers": sorted(ToolParserManager.list_registered()),
        "reasoning_parsers": sorted(ReasoningParserManager.list_registered()),
        "quantization_methods": sorted(quantization.QUANTIZATION_METHODS),
        "deprecated_quantization_methods": sorted(quantization.DEPRECATED_QUANTIZATION_METHODS),
        "kv_cache_dtypes": list(typing.get_args(cache.CacheDType)),
        "load_formats": sorted(_LOAD_FORMAT_TO_MODEL_LOADER),
        "structured_outputs_backends": list(typing.get_args(structured_outputs.StructuredOutputsBackend)),
    }
    print(json.dumps(described))


def _option(action: argparse.Action) -> Description:
    described = _kind(action)
    if action.choices is not None:
        described["choices"] = sorted((choice for choice in action.choices if choice != "None"), key=str)
    if action.nargs == "+":
        described["many"] = True
    default = action.default
    if isinstance(default, bool | int | float | str) and not isinstance(default, enum.Enum):
        described["default"] = default
    words = (action.help or "").lower()
    if type(action).__name__.startswith("Deprecated") or any(word in words for word in DEPRECATED):
        described["deprecated"] = True
    return described


def _kind(action: argparse.Action) -> Description:
    if isinstance(action, argparse.BooleanOptionalAction):
        return {"type": "boolean"}
    if action.nargs == 0:
        return {"type": "flag"}
    config, converter = _converter(action.type)
    if config is not None:
        return {"type": "config", "keys": _keys(config, ())}
    if type(action).__name__ == "LoRAParserAction":
        return {"type": "adapter"}
    if action.type is None:
        return {"type": "text"}
    return {"type": CONVERTERS.get(converter, "text")}


def _converter(function: Any) -> tuple[type | None, str]:
    """Look through what wraps a converter; return the configuration class it reads, if any, and its name."""
    while getattr(function, "__closure__", None):
        inner: list[Callable[..., Any]] = [cell.cell_contents for cell in function.__closure__]
        function = next(found for found in inner if callable(found))
    if getattr(function, "__name__", "") == "parse_dataclass":
        return function.__defaults__[0], ""
    return None, getattr(function, "__name__", "")


def _keys(config: type, above: tuple[type, ...]) -> Description:
    hints = typing.get_type_hints(config)
    fields = [field for field in dataclasses.fields(config) if field.init and not field.name.startswith("_")]
    return {field.name: _hint(hints[field.name], (*above, config)) for field in fields}


def _hint(hint: Any, above: tuple[type, ...]) -> Description:
    """Describe what a configuration's field takes, as far as its annotation says so simply."""
    parts = [part for part in _parts(hint) if part is not types.NoneType]
    choices = [value for part in parts for value in typing.get_args(part) if typing.get_origin(part) is typing.Literal]
    others = [part for part in parts if typing.get_origin(part) is not typing.Literal]
    if choices and not others:
        return {"type": SCALARS.get(type(choices[0]), "text"), "choices": sorted(choices, key=str)}
    if len(others) == 1 and not choices:
        (only,) = others
        if dataclasses.is_dataclass(only) and isinstance(only, type) and only not in above:
            return {"type": "config", "keys": _keys(only, above)}
        if only in SCALARS:
            return {"type": SCALARS[only]}
    return {"type": "any"}


def _parts(hint: Any) -> list[Any]:
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _parts(typing.get_args(hint)[0])
    if origin in (typing.Union, types.UnionType):
        return [part for argument in typing.get_args(hint) for part in _parts(argument)]
    return [hint]


if __name__ == "__main__":
    main()
