"""Ask the hub, through its own client, what a commit consists of; its refusals in words that help."""

from collections.abc import Callable

from huggingface_hub import HfApi, ModelInfo
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from nodestack_weights import WeightsError, manifest
from nodestack_weights.hub import Listed, Source
from nodestack_weights.patience import TRANSIENT, Patience, asked_pause_s, pause

_UNAUTHORIZED = 401


def list_files(source: Source, timeout_s: float, patience: Patience, check: Callable[[], None]) -> list[Listed]:
    """Ask the hub what the commit consists of.

    Args:
        source: The commit on its hub.
        timeout_s: Seconds of silence after which it does not answer.
        patience: How often it is asked again when it answers that it cannot answer now.
        check: Called while that is waited for; may raise.

    Raises:
        WeightsError: The hub refuses, does not answer, or answers for another commit.
    """
    info = _model_info(source, timeout_s, patience, check)
    if info.sha != source.commit:
        raise WeightsError(f"asked for commit {source.commit} of {source.repository}, the hub answered for {info.sha}")
    listed = [
        Listed(file.rfilename, file.size or 0, file.blob_id or "", file.lfs.sha256 if file.lfs else None)
        for file in info.siblings or []
    ]
    if not listed:
        raise WeightsError(f"commit {source.commit} of {source.repository} has no files: choose another commit")
    for file in listed:
        manifest.refuse_unsafe(file.path)
    return listed


def _model_info(source: Source, timeout_s: float, patience: Patience, check: Callable[[], None]) -> ModelInfo:
    api = HfApi(endpoint=source.endpoint, token=source.token or False)
    for attempt in range(1, patience.fruitless_attempts + 1):
        try:
            return api.model_info(source.repository, revision=source.commit, files_metadata=True, timeout=timeout_s)
        except (HfHubHTTPError, HFValidationError, OSError) as error:
            answer = getattr(error, "response", None)
            last = attempt == patience.fruitless_attempts
            if last or answer is None or answer.status_code not in TRANSIENT:
                raise WeightsError(_explain(source, error)) from error
            pause(patience.pause_s(attempt, asked_pause_s(answer.headers)), check)
        except Exception as error:
            # The client's transport errors share no base class with anything public.
            raise WeightsError(
                f"the hub {source.endpoint} does not answer ({error}): check that the node reaches it"
            ) from error
    raise AssertionError("the last attempt returned or raised")


def _explain(source: Source, error: Exception) -> str:
    if isinstance(error, GatedRepoError):
        return (
            f"the model {source.repository} is gated on {source.endpoint}: accept its terms there, "
            "and give the stack the token of an account that did"
        )
    if isinstance(error, RevisionNotFoundError):
        return (
            f"the hub {source.endpoint} has no commit {source.commit} of {source.repository}: "
            "take a commit id from the model's history"
        )
    if isinstance(error, RepositoryNotFoundError | HFValidationError):
        return (
            f"the hub {source.endpoint} has no model {source.repository}, or not for this token: "
            "check its name, and the token if it is private"
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == _UNAUTHORIZED:
        return f"the hub {source.endpoint} refuses the token for {source.repository}: give the stack a valid one"
    if status is not None:
        return f"the hub {source.endpoint} answered {status} for {source.repository}: try again later"
    return f"the hub {source.endpoint} does not answer ({error}): check that the node reaches it"
