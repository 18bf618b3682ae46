"""What the hub says a commit consists of, and its refusals in words that help."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from nodestack_weights import WeightsError, manifest
from nodestack_weights.patience import TRANSIENT, Patience, asked_pause_s, pause

_COMMIT = re.compile(r"[0-9a-f]{40}")
_UNAUTHORIZED = 401


class Listed(NamedTuple):
    """One file as the hub lists it.

    Attributes:
        path: From the repository's root.
        size: Bytes.
        blob_id: Git's id of the file; of a large file's pointer.
        sha256: Of a large file's content; None for a small one, whose content git's id already stands for.
    """

    path: str
    size: int
    blob_id: str
    sha256: str | None

    def is_content_of(self, path: Path) -> bool:
        """Return whether this small file's content is in `path`."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        content = path.read_bytes()
        header = f"blob {len(content)}\x00".encode()
        return hashlib.sha1(header + content, usedforsecurity=False).hexdigest() == self.blob_id


class Source(NamedTuple):
    """A commit on a hub.

    Attributes:
        endpoint: The hub, e.g. https://huggingface.co.
        repository: "organisation/name".
        commit: 40 hex digits.
        token: What the hub may want to see; None to go without.
    """

    endpoint: str
    repository: str
    commit: str
    token: str | None

    def list_files(self, timeout_s: float, patience: Patience, check: Callable[[], None]) -> list[Listed]:
        """Ask the hub what the commit consists of.

        Args:
            timeout_s: Seconds of silence after which it does not answer.
            patience: How often it is asked again when it answers that it cannot answer now.
            check: Called while that is waited for; may raise.

        Raises:
            WeightsError: The hub refuses, does not answer, or answers for another commit.
        """
        info = self._model_info(timeout_s, patience, check)
        if info.sha != self.commit:
            raise WeightsError(f"asked for commit {self.commit} of {self.repository}, the hub answered for {info.sha}")
        listed = [
            Listed(file.rfilename, file.size or 0, file.blob_id or "", file.lfs.sha256 if file.lfs else None)
            for file in info.siblings or []
        ]
        if not listed:
            raise WeightsError(f"commit {self.commit} of {self.repository} has no files: choose another commit")
        for file in listed:
            manifest.refuse_unsafe(file.path)
        return listed

    def _model_info(self, timeout_s: float, patience: Patience, check: Callable[[], None]) -> ModelInfo:
        api = HfApi(endpoint=self.endpoint, token=self.token or False)
        for attempt in range(1, patience.fruitless_attempts + 1):
            try:
                return api.model_info(self.repository, revision=self.commit, files_metadata=True, timeout=timeout_s)
            except (HfHubHTTPError, HFValidationError, OSError) as error:
                answer = getattr(error, "response", None)
                last = attempt == patience.fruitless_attempts
                if last or answer is None or answer.status_code not in TRANSIENT:
                    raise WeightsError(self._explain(error)) from error
                pause(patience.pause_s(attempt, asked_pause_s(answer.headers)), check)
            except Exception as error:
                # The client's transport errors share no base class with anything public.
                raise WeightsError(
                    f"the hub {self.endpoint} does not answer ({error}): check that the node reaches it"
                ) from error
        raise AssertionError("the last attempt returned or raised")

    def _explain(self, error: Exception) -> str:
        if isinstance(error, GatedRepoError):
            return (
                f"the model {self.repository} is gated on {self.endpoint}: accept its terms there, "
                "and give the stack the token of an account that did"
            )
        if isinstance(error, RevisionNotFoundError):
            return (
                f"the hub {self.endpoint} has no commit {self.commit} of {self.repository}: "
                "take a commit id from the model's history"
            )
        if isinstance(error, RepositoryNotFoundError | HFValidationError):
            return (
                f"the hub {self.endpoint} has no model {self.repository}, or not for this token: "
                "check its name, and the token if it is private"
            )
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status == _UNAUTHORIZED:
            return f"the hub {self.endpoint} refuses the token for {self.repository}: give the stack a valid one"
        if status is not None:
            return f"the hub {self.endpoint} answered {status} for {self.repository}: try again later"
        return f"the hub {self.endpoint} does not answer ({error}): check that the node reaches it"


def refuse_movable(commit: str) -> None:
    """Raise a WeightsError when `commit` is not a full commit id."""
    if not _COMMIT.fullmatch(commit):
        raise WeightsError(
            f"the model's commit is {commit!r}, 40 hex digits are needed: "
            "branches, tags and short ids are refused because what they name can change"
        )
