"""NVIDIA's own diagnostics (`dcgmi diag -j`), in the forms of DCGM 3 and 4."""

import json
from collections.abc import Iterator
from typing import Any

from nodestack_fabric import NotUnderstood
from nodestack_fabric.entries import Entry, Fault, compared

CHECK = "DCGM diagnostics"
PROGRAM = "dcgmi"
REMEDY = "run `dcgmi diag -r 2` on the node and show its answer to the provider"
_ROOTS = ("DCGM Diagnostic", "DCGM GPU Diagnostic")
_FINE = {"pass", "skip", "skipped", "not run"}
_BAD = {"fail", "warn"}


def judge(text: str, level: int, count: int) -> list[Entry]:
    """Judge the results of all tests: none failed, and at least one passed on every GPU.

    Raises:
        NotUnderstood: The answer is no such JSON, a test has a result of an unknown kind, or GPUs are not spoken of.
    """
    faults: list[Fault] = []
    proven: set[int] = set()
    for test, status, gpus, words in _results(_root(text)):
        if status not in _FINE | _BAD:
            raise NotUnderstood(f"{test} is {status!r}")
        names = ", ".join(f"GPU{gpu}" for gpu in gpus) or "the node"
        if status in _BAD:
            faults.append((f"{test} on {names}", f"{status}: {words}" if words else status))
        elif status == "pass":
            proven.update(gpus)
    if not faults and proven != set(range(count)):
        raise NotUnderstood(f"diagnostics passed on {len(proven)} instead of {count} GPUs")
    return compared(CHECK, f"pass at level {level}", faults, REMEDY)


def _root(text: str) -> dict[str, Any]:
    """Return the part of the answer with the tests; warnings may stand in front of the JSON."""
    start = text.find("{")
    try:
        document, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else (None, 0)
    except ValueError as error:
        raise NotUnderstood(f"the JSON of {PROGRAM}: {error}") from error
    root = next((document[name] for name in _ROOTS if name in document), None) if isinstance(document, dict) else None
    if not isinstance(root, dict):
        raise NotUnderstood(f"the answer {' '.join(text.split())[:200] or 'nothing'!r}")
    trouble = root.get("runtime_error")
    if trouble:
        raise NotUnderstood(f"{PROGRAM} says {trouble!r}")
    return root


def _results(root: dict[str, Any]) -> Iterator[tuple[str, str, list[int], str]]:
    """Return of each result its test, its status, the GPUs it is about, and what is said of it."""
    try:
        tests = [test for category in root["test_categories"] for test in category["tests"] if test is not None]
        for test in tests:
            for result in test["results"]:
                yield test["name"], str(result["status"]).lower(), _gpus(result), _words(result)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotUnderstood(f"the results of {PROGRAM} lack {error}") from error


def _gpus(result: dict[str, Any]) -> list[int]:
    if "gpu_ids" in result:
        return [int(number) for number in str(result["gpu_ids"]).split(",")]
    if result.get("entity_group", "GPU") == "GPU" and "entity_id" in result:
        return [int(result["entity_id"])]
    return []


def _words(result: dict[str, Any]) -> str:
    """Return what the diagnostics say of a failure, on one line."""
    said = [item.get("warning", "") if isinstance(item, dict) else str(item) for item in result.get("warnings", [])]
    return " ".join(" ".join(said).split())[:200]
