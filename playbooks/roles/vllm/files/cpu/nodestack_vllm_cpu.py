"""A plugin for vLLM 0.23.0, loaded in each of its processes: mixtures of experts on a CPU without AVX-512."""


def register() -> None:
    """Take the activation's plain function: the wrapper built in mid-forward asks for a configuration not set there."""
    # Only once vLLM calls: while it looks for plugins, importing its layers would go round in a circle.
    from vllm.model_executor.layers.activation import SiluAndMul  # noqa: PLC0415
    from vllm.model_executor.layers.fused_moe import cpu_fused_moe  # noqa: PLC0415
    from vllm.model_executor.layers.fused_moe.activation import MoEActivation  # noqa: PLC0415

    cpu_fused_moe._CPU_MOE_ACT_FN[MoEActivation.SILU] = SiluAndMul.forward_native
