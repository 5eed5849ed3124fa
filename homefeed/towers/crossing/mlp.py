"""An MLP over all fields, and the bare single field: what the crossings are measured against."""

from torch import Tensor, nn

from homefeed.towers.crossing.config import MLPConfig
from homefeed.towers.crossing.norm import FieldNorm

ACTIVATIONS = {"relu": nn.ReLU, "gelu": nn.GELU, "tanh": nn.Tanh}


class MLP(nn.Module):
    """`fields[B, F, d]` to `[B, output_width]`."""

    def __init__(
        self,
        num_fields: int,
        dimension: int,
        output_width: int,
        config: MLPConfig,
        dropout: float,
    ) -> None:
        super().__init__()
        norm = FieldNorm(num_fields, dimension) if config.normalise_fields else nn.Identity()
        layers: list[nn.Module] = [norm, nn.Flatten()]
        width = num_fields * dimension
        for hidden in config.widths:
            layers += [nn.Linear(width, hidden), ACTIVATIONS[config.activation]()]
            layers += [nn.Dropout(dropout)]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, output_width))
        self.has_shortcut = config.shortcut
        self.map = _linear(dimension, output_width) if config.shortcut else nn.Identity()

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, F, d]` to `[B, output_width]`."""
        crossed = self.layers(fields)
        return crossed + self.map(fields.sum(dim=1)) if self.has_shortcut else crossed


class Identity(nn.Module):
    """`fields[B, 1, d]` to `[B, output_width]`: the field itself, or one linear map of it."""

    def __init__(self, num_fields: int, dimension: int, output_width: int) -> None:
        """Takes the shapes.

        Raises:
            ValueError: there are more fields than one.
        """
        super().__init__()
        if num_fields != 1:
            raise ValueError(
                f"towers.crossing.kind='identity' takes one field, and this tower has "
                f"{num_fields}: leave features out, or give it kind: mlp"
            )
        self.map = _linear(dimension, output_width)

    def forward(self, fields: Tensor) -> Tensor:
        """`fields[B, 1, d]` to `[B, output_width]`."""
        return self.map(fields.squeeze(1))


def _linear(dimension: int, output_width: int) -> nn.Module:
    """Nothing to learn where the widths are equal."""
    is_same = dimension == output_width
    return nn.Identity() if is_same else nn.Linear(dimension, output_width, bias=False)
