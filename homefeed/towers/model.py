"""The two towers over torchrec's embedding tables, as they are trained."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchrec import EmbeddingBagCollection, EmbeddingBagConfig, KeyedJaggedTensor
from torchrec.modules.embedding_configs import PoolingType

from homefeed.contracts import Column
from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS, PADDING_ROW, FeatureEncoder
from homefeed.towers.config import TowersConfig
from homefeed.towers.tower import Tower, pin_bags, user_bags

Features = Mapping[str, Tensor]
"""One side's encoded features: int64 [B, values] where embedded by row, float32 [B, n] else."""

USER, PIN = "user", "pin"


def table_of(bag: str) -> str:
    """The vocabulary whose rows a bag holds: a history's are pins."""
    return Column.PIN_ID if bag == HISTORY else bag


class TwoTowers(nn.Module):
    """User and pin tower; a vocabulary has one table, whichever side and however often it is read.

    So a pin is the same vector in a history as in the pin tower.
    """

    def __init__(self, encoder: FeatureEncoder, config: TowersConfig) -> None:
        super().__init__()
        self.bags = {USER: user_bags(encoder.user_inputs), PIN: pin_bags(encoder.pin_inputs)}
        num_rows = {name: len(vocabulary) for name, vocabulary in encoder.vocabularies.items()}
        num_rows[HISTORY_ACTIONS] = len(encoder.actions)
        readers: dict[str, list[str]] = {}
        for side, bags in self.bags.items():
            for bag in bags:
                readers.setdefault(table_of(bag), []).append(f"{side}.{bag}")
        # Columns may be called what no module of torch can be: "type", or a name with a dot.
        self._table_names = {name: f"table_{place}" for place, name in enumerate(readers)}
        self.tables = EmbeddingBagCollection(
            tables=[
                EmbeddingBagConfig(
                    name=self._table_names[name],
                    num_embeddings=num_rows[name],
                    embedding_dim=config.field_dimension,
                    feature_names=keys,
                    pooling=PoolingType.MEAN,
                    init_fn=_small,
                )
                for name, keys in readers.items()
            ]
        )
        self.user = Tower(self.bags[USER], encoder.user_inputs, config)
        self.pin = Tower(self.bags[PIN], encoder.pin_inputs, config)

    def forward(self, users: Features, pins: Features) -> tuple[Tensor, Tensor]:
        """B users and N pins to unit vectors `[B, D]` and `[N, D]`; one look-up in the tables."""
        users, pins = self._moved(users), self._moved(pins)
        pooled = self._pool({USER: users, PIN: pins})
        return self.user(pooled[USER], users), self.pin(pooled[PIN], pins)

    def embed_users(self, users: Features) -> Tensor:
        """B users to unit vectors `[B, D]`."""
        users = self._moved(users)
        return self.user(self._pool({USER: users})[USER], users)

    def embed_pins(self, pins: Features) -> Tensor:
        """N pins to unit vectors `[N, D]`."""
        pins = self._moved(pins)
        return self.pin(self._pool({PIN: pins})[PIN], pins)

    def table(self, bag: str) -> Tensor:
        """The weights that a bag is looked up in, `[rows, d]`; row 0 is padding."""
        name = self._table_names[table_of(bag)]
        return self.tables.state_dict()[f"embedding_bags.{name}.weight"]

    @property
    def dimension(self) -> int:
        """D, of the vectors of both towers."""
        return self.user.dimension

    @property
    def device(self) -> torch.device:
        """Where the towers are; features are brought there."""
        return self.user.crossing.norm_weight.device

    def _moved(self, features: Features) -> dict[str, Tensor]:
        return {
            name: tensor.to(self.device, non_blocking=True) for name, tensor in features.items()
        }

    def _pool(self, sides: Mapping[str, Features]) -> dict[str, dict[str, Tensor]]:
        """Pooled embeddings `[rows of the side, d]` by side and bag."""
        sizes = {side: len(next(iter(features.values()))) for side, features in sides.items()}
        # torchrec wants as many rows of every key: the shorter side gets empty ones.
        size = max(sizes.values())
        keys, values, lengths = [], [], []
        for side, bags in self.bags.items():
            for bag in bags:
                keys.append(f"{side}.{bag}")
                own = torch.zeros(size, dtype=torch.int64, device=self.device)
                if side in sides:
                    rows = sides[side][bag]
                    is_there = rows != PADDING_ROW
                    values.append(rows[is_there])
                    own = nn.functional.pad(is_there.sum(dim=1), (0, size - sizes[side]))
                lengths.append(own)
        jagged = KeyedJaggedTensor(keys, torch.cat(values), lengths=torch.cat(lengths))
        pooled = self.tables(jagged).to_dict()
        return {
            side: {bag: pooled[f"{side}.{bag}"][: sizes[side]] for bag in self.bags[side]}
            for side in sides
        }


def _small(weight: Tensor) -> None:
    """As nn.Embedding, but of the size that fields normalised later start well from."""
    nn.init.normal_(weight, std=weight.shape[1] ** -0.5)
