"""`nodestack bench`: a bounded load on a stack's node, measured, kept on its volume, and held against a former run."""

import argparse
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from nodestack.automation import configured, simulation
from nodestack.automation.checkout import find
from nodestack.catalog import Catalog, load_for
from nodestack.commands.verify import Progress
from nodestack.errors import NodestackError, SettingsError
from nodestack.planning.bench import BenchShape, bench_shape
from nodestack.provisioning import playbook
from nodestack.provisioning.bench_report import BenchResult
from nodestack.provisioning.document import BenchDocument
from nodestack.rendering.bench_table import NAMES, Row, bench_table
from nodestack.rendering.terminal import show
from nodestack.rendering.units import count, plural, usd

REGRESSION = 3
HOUR_S = 3600


def run(options: argparse.Namespace) -> int:
    """Print the figures as a table or as JSON; 0 when they are no worse than before, 3 when they are, 1 without any.

    Raises:
        SettingsError: The load that is asked for is longer than what the engine takes.
        NodestackError: The stack has no node that serves, or nothing was measured.
    """
    checkout = find(Path.cwd())
    simulation.start(checkout, options.stack)
    os.environ |= simulation.credentials(checkout, options.stack)
    found = configured.find(checkout, options.stack)
    asked = document(options, found.outputs, load_for(checkout.root))
    print(_announcement(options.stack, asked), file=sys.stderr)
    result = playbook.apply(
        found.connection,
        found.document,
        found.secrets,
        log_directory=found.logs,
        progress=Progress(),
        cancelled=threading.Event(),
        playbook="bench.yml",
        more=asked,
    ).status.results.bench
    if result is None:
        raise NodestackError("the node has no record of what was just measured: run it again")
    if options.json:
        print(json.dumps(result.model_dump(mode="json"), indent=2))
    else:
        show(bench_table(_headline(result), _facts(result), _rows(result), list(_notes(result, options.stack))))
        if result.is_baseline:
            # Not part of the table, whose lines are broken: this is to be copied.
            print(f"\nSo that plans reckon with it in place of assumptions, in stacks/Pulumi.{options.stack}.yaml:\n")
            print(snippet(result))
    return REGRESSION if result.regressions else 0


def document(options: argparse.Namespace, outputs: Mapping[str, Any], catalog: Catalog) -> BenchDocument:
    """Return what is to be measured: the stack's profile as it was planned, or what the options say instead.

    Args:
        options: Of the command line; those that are None are left to the profile.
        outputs: Of the stack.
        catalog: Has the profile's trace and the terms of measuring.

    Raises:
        SettingsError: Prompt and reply are longer than what the engine takes.
    """
    held, terms = outputs["capacity"], catalog.bench
    shape = bench_shape(
        catalog.profiles.profiles[held["profile"]].trace,
        terms,
        max_model_len=int(held["max_model_len"]),
        max_num_seqs=int(held["max_num_seqs"]),
        trace_length_p95=held.get("trace_length_p95"),
    )
    if options.concurrency and not options.requests:
        shape = shape.model_copy(update={"requests": options.concurrency * terms.requests_per_sequence})
    named = ("prompt_tokens", "output_tokens", "requests", "concurrency")
    shape = shape.model_copy(update={name: value for name in named if (value := getattr(options, name))})
    _require_room(shape, int(held["max_model_len"]), terms.context_margin_tokens)
    usd_per_hour, basis = _price(outputs)
    return BenchDocument(
        bench_prompt_tokens=shape.prompt_tokens,
        bench_output_tokens=shape.output_tokens,
        bench_requests=shape.requests,
        bench_concurrency=min(shape.concurrency, shape.requests),
        bench_timeout_s=options.timeout_s or terms.timeout_s,
        bench_usd_per_hour=usd_per_hour,
        bench_usd_basis=basis,
        bench_max_model_len=int(held["max_model_len"]),
        bench_length_multiple=catalog.profiles.length_multiple,
        bench_least_requests=terms.least_requests,
        bench_tolerances=terms.tolerances.model_dump(),
        bench_accept=options.accept,
    )


def snippet(result: BenchResult) -> str:
    """Return what a stack's file says so that the next plan reckons with what was measured."""
    an_hour = round(result.figures.output_tokens_per_second * HOUR_S)
    shape = result.shape
    source = (
        f"nodestack bench of {result.at}, vLLM {result.engine_version} on {result.hardware}, "
        f"{shape.concurrency} in flight, {shape.prompt_tokens} and {shape.output_tokens} tokens"
    )
    measured = {"low": an_hour, "high": an_hour, "source": source, "date": result.at[:10]}
    return yaml.safe_dump({"nodestack:cost": {"measured": measured}}, sort_keys=False, width=10_000).rstrip()


def _require_room(shape: BenchShape, longest: int, margin: int) -> None:
    asked = shape.prompt_tokens + shape.output_tokens
    if asked > longest - margin:
        raise SettingsError(
            f"--prompt-tokens {shape.prompt_tokens} and --output-tokens {shape.output_tokens} are {asked} tokens "
            f"together: the engine takes {longest}, of which {margin} stay free, say at most {longest - margin}"
        )


def _price(outputs: Mapping[str, Any]) -> tuple[float | None, str]:
    """Return what the node costs: what its cloud bills where it says so, else what was planned with."""
    billed = outputs["node"].get("usd_per_hour")
    if billed is not None:
        return float(billed), f"what {outputs['node']['cloud']} bills for the node"
    planned = outputs["cost"]["usd_per_hour"]
    return None if planned is None else float(planned), outputs["cost"]["basis"]


def _announcement(stack: str, asked: BenchDocument) -> str:
    tokens = asked.bench_requests * (asked.bench_prompt_tokens + asked.bench_output_tokens)
    return (
        f"measuring stack {stack}: {plural(asked.bench_requests, 'request')}, {asked.bench_concurrency} in flight, "
        f"{asked.bench_prompt_tokens} tokens of prompt and {asked.bench_output_tokens} of reply each, {count(tokens)} "
        f"in all; it ends after {asked.bench_timeout_s} s in any case, and who asks meanwhile waits longer"
    )


def _headline(result: BenchResult) -> str:
    if result.regressions:
        worse = plural(len(result.regressions), "figure")
        return f"{worse} worse than on {result.compared_with}, by more than is tolerated"
    if result.compared_with:
        return f"no figure is worse than on {result.compared_with} by more than is tolerated"
    return "measured; no former run of this engine, commit, options and load to hold it against"


def _rows(result: BenchResult) -> list[Row]:
    worse = {each.figure: each for each in result.regressions}
    figures = result.figures.model_dump()
    return [
        Row(
            figure=name,
            now=figures[name],
            **(worse[name].model_dump(exclude={"figure", "now"}) if name in worse else {}),
        )
        for name in NAMES
    ]


def _facts(result: BenchResult) -> list[tuple[str, str]]:
    shape = result.shape
    return [
        (
            "engine",
            f"vLLM {result.engine_version} ({result.engine_build}) on {result.hardware}, through the {result.through}",
        ),
        ("weights", f"{result.model} at {result.commit}"),
        ("options", f"sha256 {result.options_sha256}"),
        (
            "load",
            f"{plural(shape.requests, 'request')}, {shape.concurrency} in flight, {shape.prompt_tokens} + "
            f"{shape.output_tokens} tokens each, in {result.figures.seconds:.0f} s",
        ),
        ("record", f"{result.file} on the node"),
    ]


def _notes(result: BenchResult, stack: str) -> Iterator[str]:
    price = "not known" if result.usd_per_hour is None else f"{usd(result.usd_per_hour)} an hour"
    cost = usd(result.usd_per_million_output_tokens)
    yield f"{cost} per million output tokens: the node is {price} ({result.usd_basis})"
    suggested = result.lengths.suggested_max_model_len
    yield f"max-model-len: {f'{suggested} would do, ' if suggested else 'no suggestion, '}{result.lengths.arithmetic}"
    yield f"in the stack's outputs as `bench` after the next up of {stack}"
    if result.regressions and not result.is_baseline:
        yield "later runs are held against the former one still; --accept takes this one in its place"
