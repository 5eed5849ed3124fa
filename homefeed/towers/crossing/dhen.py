"""DHEN: layers of several interactions side by side, each layer on what the one before made.

Source: Zhang et al., "DHEN: A Deep and Hierarchical Ensemble Network for Large-Scale Click-Through
Rate Prediction", 2022 (arXiv 2203.11014), section 3: `X_{n+1} = Norm(sum_i Interaction_i(X_n) +
ShortCut(X_n))`. The two orders of interactions are those of "Advancements in Embedding-Based
Retrieval at Pinterest Homefeed" (2025) and of MER (arXiv 2506.23060, appendix).

Every interaction maps fields `[B, F, d]` to fields of the same shape, so the shortcut is the
identity.
"""

from torch import Tensor, nn

from homefeed.towers.crossing.config import DHENConfig
from homefeed.towers.crossing.masknet import MaskNet
from homefeed.towers.crossing.norm import FieldNorm

ORDERS = {
    "seed": (("mlp", "masknet"), ("mlp", "transformer")),
    "mer": (("mlp", "transformer"), ("mlp", "masknet")),
}


class FieldTransformer(nn.Module):
    """A transformer encoder layer whose attention runs over the fields, not over time."""

    def __init__(self, dimension: int, heads: int, width: int, dropout: float) -> None:
        """Takes the shapes.

        Raises:
            ValueError: the heads do not divide the width of a field.
        """
        super().__init__()
        if dimension % heads:
            raise ValueError(
                f"towers.crossing.heads={heads} must divide towers.field_dimension={dimension}"
            )
        self.heads = heads
        self.projection = nn.Linear(dimension, 3 * dimension)
        self.output = nn.Linear(dimension, dimension)
        self.first_norm, self.second_norm = nn.LayerNorm(dimension), nn.LayerNorm(dimension)
        self.feed_forward = nn.Sequential(
            nn.Linear(dimension, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, dimension),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, F, d]`; equal for any order of the fields."""
        projected = self.projection(fields).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        attended = nn.functional.scaled_dot_product_attention(
            projected[0], projected[1], projected[2]
        )
        x = self.first_norm(fields + self.dropout(self.output(attended.transpose(1, 2).flatten(2))))
        return self.second_norm(x + self.dropout(self.feed_forward(x)))


class OverFields(nn.Module):
    """An interaction of all fields, `[B, F, d]` to a vector, as fields again."""

    def __init__(self, interaction: nn.Module, dimension: int) -> None:
        super().__init__()
        self.interaction, self.dimension = interaction, dimension

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, F, d]`."""
        return self.interaction(fields).unflatten(1, (-1, self.dimension))


class DHENLayer(nn.Module):
    """`Norm(sum_i Interaction_i(X) + X)`: `fields[B, F, d]` to `[B, F, d]`."""

    def __init__(self, interactions: list[nn.Module], num_fields: int, dimension: int) -> None:
        super().__init__()
        self.interactions = nn.ModuleList(interactions)
        self.norm = FieldNorm(num_fields, dimension)

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, F, d]`."""
        total = fields
        for interaction in self.interactions:
            total = total + interaction(fields)
        return self.norm(total)


class DHEN(nn.Module):
    """Two layers, then one linear map: `fields[B, F, d]` to `[B, output_width]`."""

    def __init__(
        self,
        num_fields: int,
        dimension: int,
        output_width: int,
        config: DHENConfig,
        dropout: float,
    ) -> None:
        super().__init__()
        self.norm = FieldNorm(num_fields, dimension)
        width = num_fields * dimension

        def make(kind: str) -> nn.Module:
            if kind == "transformer":
                return FieldTransformer(dimension, config.heads, config.mlp_width, dropout)
            if kind == "masknet":
                masknet = MaskNet(num_fields, dimension, width, config.masknet, dropout)
                return OverFields(masknet, dimension)
            mlp = nn.Sequential(
                nn.Flatten(),
                nn.Linear(width, config.mlp_width),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(config.mlp_width, width),
            )
            return OverFields(mlp, dimension)

        self.layers = nn.Sequential(
            *(
                DHENLayer([make(kind) for kind in kinds], num_fields, dimension)
                for kinds in ORDERS[config.order]
            )
        )
        self.output = nn.Linear(width, output_width)

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, output_width]`."""
        return self.output(self.layers(self.norm(fields)).flatten(1))
