"""What parameters times bytes says, every layer counted as full attention: shown beside a plan, never used."""

from dataclasses import dataclass

from nodestack.planning.dimensions import Dimensions

GB = 10**9


@dataclass(frozen=True)
class NaiveEstimate:
    """What a node would hold by the simple formula.

    Attributes:
        weights_bytes: Nominal parameters times bytes.
        runtime_bytes: The same with the formula's surplus for running.
        total_memory_bytes: All GPUs, as they are sold.
    """

    weights_bytes: int
    runtime_bytes: int
    total_memory_bytes: int

    @property
    def headroom_bytes(self) -> int:
        """What would be left for the KV cache; negative when the weights do not fit."""
        return self.total_memory_bytes - self.runtime_bytes

    def concurrency(self, dims: Dimensions, bytes_per_element: int, max_model_len: int) -> float:
        """Return how many full-length sequences the headroom would hold, 0 without one.

        Args:
            dims: The model's numbers.
            bytes_per_element: 2 for bfloat16, 1 for fp8.
            max_model_len: Sequence length in tokens.
        """
        bytes_per_token = 2 * dims.kv_heads * dims.head_dim * bytes_per_element * dims.layers
        return max(self.headroom_bytes, 0) / (bytes_per_token * max_model_len)


def estimate(
    nominal_parameters: int, bytes_per_parameter: float, nominal_gb: int, gpus: int, overhead_factor: float
) -> NaiveEstimate:
    """Return the estimate of a model on a node.

    Args:
        nominal_parameters: As the makers round them.
        bytes_per_parameter: As the format's name says.
        nominal_gb: Memory of a GPU in GB, as it is sold.
        gpus: All of the node's.
        overhead_factor: What the formula multiplies weights with, from the catalogue's rules.
    """
    weights = round(nominal_parameters * bytes_per_parameter)
    return NaiveEstimate(weights, round(weights * overhead_factor), nominal_gb * GB * gpus)
