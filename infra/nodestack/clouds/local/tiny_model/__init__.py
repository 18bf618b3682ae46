"""A real checkpoint of two million random parameters, as a repository with two commits that a hub can serve."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodestack.clouds.local.cache import cached
from nodestack.clouds.local.hub import git
from nodestack.clouds.local.tiny_model import tokenizer

REPOSITORY = "nodestack/tiny-afmoe-thinking"
COMMIT = "df0070ad52af62e1bddc8ecc10649d041d25ff26"
"""The first commit: the one to pin."""

NEXT_COMMIT = "9057f13488a4d1173a3d74251fc4fa98aab340f6"
"""The second commit, which `main` points to; one shard differs."""

_AUTHOR = "nodestack <nodestack@localhost>"
_SOURCES = Path(__file__).parent
_CHECKPOINT = _SOURCES / "checkpoint"
_REVISIONS = ((1.0, 1_767_225_600, "Upload weights"), (0.5, 1_767_312_000, "Scale the final norm"))
"""Each commit's final norm, time (2026-01-01 and 2026-01-02, UTC) and message."""


def repository() -> Path:
    """Return the repository's directory, made at the first call: one directory a commit, and refs.json.

    Its parent's parent is the root that `nodestack.clouds.local.hub` serves.

    Raises:
        ValueError: What was made is not what the commit ids promise.
    """
    sources = sorted(path for path in _SOURCES.rglob("*") if path.suffix in {".py", ".json", ".jinja", ".txt", ".md"})
    material = b"\x00".join([*(path.read_bytes() for path in sources), (_CHECKPOINT / "gitattributes").read_bytes()])
    return cached("tiny-model", material, _build) / REPOSITORY


def checkpoint(commit: str = COMMIT) -> Path:
    """Return the directory with the files of one commit, as a client that fetched it would have it."""
    return repository() / commit


def commit_ids() -> tuple[str, ...]:
    """Return the ids of the commits as computed from what the generator makes now."""
    return tuple(commit for commit, _ in _commits())


def _build(directory: Path) -> None:
    commits = _commits()
    made = tuple(commit for commit, _ in commits)
    if made != (COMMIT, NEXT_COMMIT):
        raise ValueError(f"the tiny model made is {made}, promised is {(COMMIT, NEXT_COMMIT)}: update the constants")
    place = directory / REPOSITORY
    for commit, files in commits:
        (place / commit).mkdir(parents=True)
        for name, content in files.items():
            (place / commit / name).write_bytes(content)
    (place / "refs.json").write_text(json.dumps({"main": NEXT_COMMIT}) + "\n")


def _commits() -> list[tuple[str, dict[str, bytes]]]:
    commits: list[tuple[str, dict[str, bytes]]] = []
    for final_norm, unix_time, message in _REVISIONS:
        files = _files(final_norm)
        blobs = {name: git.blob_id(_stored(name, content)) for name, content in files.items()}
        parents = tuple(commit for commit, _ in commits[-1:])
        commits.append((git.commit_id(git.tree_id(blobs), parents, _AUTHOR, unix_time, message), files))
    return commits


def _files(final_norm: float) -> dict[str, bytes]:
    # Imported when made: numpy costs more than all else that looks up a made model.
    from nodestack.clouds.local.tiny_model import weights  # noqa: PLC0415

    config = json.loads((_CHECKPOINT / "config.json").read_text())
    copied = ("config.json", "generation_config.json", "chat_template.jinja", "README.md")
    return {
        ".gitattributes": (_CHECKPOINT / "gitattributes").read_bytes(),
        **{name: (_CHECKPOINT / name).read_bytes() for name in copied},
        "tokenizer.json": _json(tokenizer.tokenizer((_CHECKPOINT / "corpus.txt").read_text())),
        "tokenizer_config.json": _json(tokenizer.tokenizer_config(config["max_position_embeddings"])),
        **weights.shards(weights.tensors(config, final_norm)),
    }


def _stored(name: str, content: bytes) -> bytes:
    """Return what git itself stores: a pointer in place of a large file."""
    if not name.endswith(".safetensors"):
        return content
    return git.lfs_pointer(hashlib.sha256(content).hexdigest(), len(content))


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2) + "\n").encode()
