"""The trained towers on plain torch modules, which script and need neither torchrec nor fbgemm."""

from torch import Tensor, nn

from homefeed.features.encoder import PADDING_ROW
from homefeed.towers.model import PIN, USER, TwoTowers
from homefeed.towers.tower import Tower


class PlainTower(nn.Module):
    """A tower with its own copy of the embedding tables that it reads."""

    def __init__(self, tables: dict[str, Tensor], tower: Tower) -> None:
        """Takes the trained parts.

        Args:
            tables: weights `[rows, d]` by bag, row 0 padding.
            tower: the dense part.
        """
        super().__init__()
        self.bags = list(tables)
        self.tables = nn.ModuleList(
            nn.EmbeddingBag.from_pretrained(weight, mode="mean", padding_idx=PADDING_ROW)
            for weight in tables.values()
        )
        self.tower = tower

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`features[name][B, n]` as the encoder makes them, to unit vectors `[B, D]`."""
        bags: dict[str, Tensor] = {}
        for place, table in enumerate(self.tables):
            bags[self.bags[place]] = table(features[self.bags[place]])
        return self.tower(bags, features)


class PlainUserTower(nn.Module):
    """The user tower as serving calls it: K vectors a user, of which this one has a single one."""

    def __init__(self, tower: PlainTower) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`features[name][B, n]` to unit vectors `[B, 1, D]`."""
        return self.tower(features).unsqueeze(1)


def plain_user_tower(towers: TwoTowers) -> PlainUserTower:
    """The user tower, ready to be scripted."""
    return PlainUserTower(PlainTower(_tables(towers, USER), towers.user).eval())


def plain_pin_tower(towers: TwoTowers) -> PlainTower:
    """The pin tower, ready to be scripted."""
    return PlainTower(_tables(towers, PIN), towers.pin).eval()


def _tables(towers: TwoTowers, side: str) -> dict[str, Tensor]:
    return {bag: towers.table(bag).clone() for bag in towers.bags[side]}
