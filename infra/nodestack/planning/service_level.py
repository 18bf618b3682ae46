"""From profile, workload and what the cache holds to the numbers that the engine is started with, with reasons."""

from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from nodestack.catalog.profiles import ProfileEntry, Profiles
from nodestack.settings.sections import ServingSettings, WorkloadSettings

T = TypeVar("T")
Concurrency = Callable[[int, int], float]
"""Takes a length and a step in tokens, returns how many sequences of that length the cache holds."""


class Choice(BaseModel, Generic[T]):
    """A number and why it is that one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: T
    why: str


class ServiceLevel(BaseModel):
    """What the engine is started with.

    Attributes:
        max_model_len: Longest sequence in tokens.
        max_num_seqs: Sequences in flight at most.
        max_num_batched_tokens: Tokens of a step at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str
    intent: str
    max_model_len: Choice[int]
    max_num_seqs: Choice[int]
    max_num_batched_tokens: Choice[int]
    kv_cache_dtype: Choice[str]


@dataclass(frozen=True)
class Chooser:
    """Chooses for one profile.

    Attributes:
        profiles: All service levels.
        entry: The one that is aimed at.
        serving: What the stack sets itself.
    """

    profiles: Profiles
    entry: ProfileEntry
    serving: ServingSettings

    def kv_cache_dtype(self, runs_on: str) -> Choice[str]:
        """Return fp8 on GPUs and the model's own type on CPUs, unless the stack says."""
        if self.serving.kv_cache_dtype is not None:
            return Choice(value=self.serving.kv_cache_dtype, why="the stack sets it")
        if runs_on == "gpu":
            return Choice(value="fp8", why="half the bytes of a token, so twice the sequences; e4m3, on any checkpoint")
        return Choice(value="auto", why="the CPU engine has no fp8 cache without AVX-512 or AMX")

    def max_model_len(self, workload: WorkloadSettings, longest: int) -> Choice[int]:
        """Return the longest sequence in tokens; `longest` is what the model knows."""
        if self.serving.max_model_len is not None:
            return Choice(value=self.serving.max_model_len, why="the stack sets it")
        if workload.trace_length_p95 is not None:
            multiple = self.profiles.length_multiple
            rounded = -(-workload.trace_length_p95 // multiple) * multiple
            why = f"95 % of traces have at most {workload.trace_length_p95} tokens; rounded up to {multiple}s"
            if rounded > longest >= workload.trace_length_p95:
                return Choice(value=longest, why=f"{why}, at most the model's {longest}")
            return Choice(value=rounded, why=why)
        if self.entry.max_model_len > longest:
            return Choice(value=longest, why="all positions that the model knows")
        return Choice(
            value=self.entry.max_model_len, why="the profile's start; set workload.trace_length_p95 to what you measure"
        )

    def max_num_batched_tokens(self, length: int, concurrency: Concurrency | None) -> Choice[int]:
        """Return the largest step whose tokens displace no more sequences than the profile allows."""
        if self.serving.max_num_batched_tokens is not None:
            return Choice(value=self.serving.max_num_batched_tokens, why="the stack sets it")
        smallest, *larger = self.profiles.batched_tokens
        if concurrency is None:
            return Choice(value=smallest, why="the engine's own smallest; what the cache holds is not known here")
        best, kept = concurrency(length, smallest), self.entry.sequences_kept
        chosen = max([smallest, *(step for step in larger if concurrency(length, step) >= kept * best)])
        refused = [step for step in larger if step > chosen]
        why = f"holds {concurrency(length, chosen):.1f} sequences of {length} tokens, {smallest} would hold {best:.1f}"
        if refused:
            why += f", {refused[0]} only {concurrency(length, refused[0]):.1f}: below {kept:.0%}"
        return Choice(value=chosen, why=why)

    def max_num_seqs(self, length: int, step: int, concurrency: Concurrency | None) -> Choice[int]:
        """Return how many sequences the cache holds at the length that the profile counts with, within its bound."""
        if self.serving.max_num_seqs is not None:
            return Choice(value=self.serving.max_num_seqs, why="the stack sets it")
        most = self.entry.max_num_seqs
        if concurrency is None:
            return Choice(value=most, why="the profile's bound; what the cache holds is not known here")
        counted = max(1, round(length * self.entry.length_in_flight))
        held = concurrency(counted, step)
        why = f"the cache holds {held:.1f} sequences of {counted} tokens"
        if held > most:
            return Choice(value=most, why=f"the profile's bound; {why}")
        return Choice(value=max(1, floor(held)), why=why)


def choose(
    chooser: Chooser,
    workload: WorkloadSettings,
    longest: int,
    kv_cache_dtype: Choice[str],
    concurrency: Concurrency | None,
) -> ServiceLevel:
    """Return the numbers of a service level.

    Args:
        chooser: Profile and the stack's own settings.
        workload: Lengths that were measured.
        longest: Positions that the model knows.
        kv_cache_dtype: As chosen before, since `concurrency` rests on it.
        concurrency: What the cache holds, or None where that is not known.
    """
    length = chooser.max_model_len(workload, longest)
    step = chooser.max_num_batched_tokens(length.value, concurrency)
    return ServiceLevel(
        profile=chooser.serving.profile,
        intent=chooser.entry.intent,
        max_model_len=length,
        max_num_seqs=chooser.max_num_seqs(length.value, step.value, concurrency),
        max_num_batched_tokens=step,
        kv_cache_dtype=kv_cache_dtype,
    )
