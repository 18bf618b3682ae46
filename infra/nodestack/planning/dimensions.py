"""A model's numbers, all of them known: where the catalogue lacks one, planning is refused by its name."""

from dataclasses import dataclass, fields

from nodestack.catalog.models import Architecture
from nodestack.errors import CatalogError


@dataclass(frozen=True)
class Dimensions:
    """What memory arithmetic needs of a transformer; the fields are those of `catalog.models.Architecture`."""

    layers_full: int
    layers_sliding: int
    layers_dense: int
    sliding_window: int
    hidden_size: int
    intermediate_size: int
    expert_intermediate_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    attention_gate: bool
    experts: int
    experts_per_token: int
    shared_experts: int
    tied_embeddings: bool
    vocabulary: int
    max_position_embeddings: int
    router_bytes_per_parameter: int = 2

    @property
    def layers(self) -> int:
        """All layers."""
        return self.layers_full + self.layers_sliding

    @property
    def layers_of_experts(self) -> int:
        """Layers with experts in place of a dense MLP."""
        return self.layers - self.layers_dense


def dimensions(model: str, architecture: Architecture) -> Dimensions:
    """Return the numbers of a model.

    Args:
        model: Its name in the catalogue, for the message.
        architecture: Its entry. A model without experts needs none of their numbers, one without sliding layers no
            window.

    Raises:
        CatalogError: Numbers are missing; the message names each.
    """
    values = {field.name: getattr(architecture, field.name) for field in fields(Dimensions)}
    if not values["experts"]:
        values |= {"experts_per_token": 0, "shared_experts": 0, "expert_intermediate_size": 0}
        values["layers_dense"] = (values["layers_full"] or 0) + (values["layers_sliding"] or 0)
    if values["layers_sliding"] == 0:
        values["sliding_window"] = 0
    missing = [f"models.{model}.architecture.{name}" for name, value in values.items() if value is None]
    if missing:
        raise CatalogError(f"{model} cannot be planned, the catalogue does not know {', '.join(missing)}")
    return Dimensions(**values)
