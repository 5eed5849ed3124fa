"""The trained towers on plain torch modules, which script and need neither torchrec nor fbgemm."""

import torch
from torch import Tensor, nn

from homefeed.export.fused import fuse
from homefeed.export.int8 import Int8Vectors
from homefeed.features.encoder import HISTORY, HISTORY_ACTIONS, HISTORY_AGES, PADDING_ROW
from homefeed.towers.model import PIN, USER, TwoTowers
from homefeed.towers.tower import Items, PinTower, UserTower


class PlainTables(nn.Module):
    """Its own copy of the embedding tables that a tower reads."""

    def __init__(self, tables: dict[str, Tensor]) -> None:
        """Takes the weights `[rows, d]` by name of the feature, row 0 padding."""
        super().__init__()
        self.names = list(tables)
        shared: dict[int, nn.Embedding] = {}
        for weight in tables.values():
            if weight.data_ptr() not in shared:
                own = weight.clone()
                # So nothing that is looked up has to be masked, which takes longer than to find it.
                own[PADDING_ROW] = 0
                shared[weight.data_ptr()] = nn.Embedding.from_pretrained(own)
        self.tables = nn.ModuleList(shared[weight.data_ptr()] for weight in tables.values())

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Looked-up items `[B, V, d]` by name; zeros for padding."""
        found: dict[str, Tensor] = {}
        for place, table in enumerate(self.tables):
            found[self.names[place]] = table(features[self.names[place]])
        return found


class PlainIds(nn.Module):
    """The ID tables that a tower reads."""

    def __init__(self, tables: list[nn.Module], names: list[str], features: list[str]) -> None:
        """Takes the tables of some fields: their names, and the features with the rows."""
        super().__init__()
        self.tables, self.names, self.features = nn.ModuleList(tables), names, features

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Mean vectors `[B, id_dimension]` by name of the field."""
        found: dict[str, Tensor] = {}
        for place, table in enumerate(self.tables):
            found[self.names[place]] = table(features[self.features[place]])
        return found


class PlainPinTower(nn.Module):
    """The pin tower as the corpus is embedded with it."""

    def __init__(
        self, tables: PlainTables, ids: PlainIds, tower: PinTower, bags: list[str]
    ) -> None:
        super().__init__()
        self.tables, self.ids, self.tower, self.bags = tables, ids, tower, bags

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`features[name][N, n]` as the encoder makes them, to vectors `[N, D]`."""
        found = self.tables(features)
        bags = self.ids(features)
        for name in self.bags:
            bags[name] = _pool(found[name], features[name], "mean")
        return self.tower(bags, features)


class PlainUserTower(nn.Module):
    """The user tower as serving calls it."""

    def __init__(
        self,
        tables: PlainTables,
        ids: PlainIds,
        tower: UserTower,
        bags: list[str],
        pooling: str,
        has_items: bool,
    ) -> None:
        super().__init__()
        self.tables, self.ids, self.tower, self.bags = tables, ids, tower, bags
        self.pooling, self.has_items = pooling, has_items
        # A script knows no names of a module's.
        self.history, self.actions, self.ages = HISTORY, HISTORY_ACTIONS, HISTORY_AGES

    def forward(self, features: dict[str, Tensor]) -> Tensor:
        """`features[name][B, n]` to K vectors a user `[B, K, D]`; those it has not are zeros."""
        found = self.tables(features)
        bags = self.ids(features)
        for name in self.bags:
            pooling = self.pooling if name == self.history else "mean"
            bags[name] = _pool(found[name], features[name], pooling)
        items: Items | None = None
        if self.has_items:
            items = Items(
                found[self.history],
                found[self.actions],
                features[self.ages],
                _is_there(features[self.history]),
            )
        vectors, _ = self.tower(bags, features, items)
        return vectors


def _pool(items: Tensor, rows: Tensor, pooling: str) -> Tensor:
    """As in training: `items[B, V, d]` to `[B, d]`."""
    if rows.size(1) == 1:  # most features are: there is nothing to add up
        return items.squeeze(1)
    num_there = rows.count_nonzero(dim=1).clamp(min=1).unsqueeze(1)
    return items.sum(dim=1) / (torch.sqrt(num_there) if pooling == "sqrt" else num_there)


def _is_there(rows: Tensor, padding: int = PADDING_ROW) -> Tensor:
    return rows != padding


def round_ids(towers: TwoTowers) -> None:
    """Gives ID tables that are exported in 8 bits the values they have there.

    So the pins are embedded with the tables that users are.
    """
    if towers.has_int8_ids:
        for table in towers.ids:
            vectors = towers.id_table(table)
            vectors.load(Int8Vectors(vectors.weight).whole().numpy())


def plain_user_tower(towers: TwoTowers) -> PlainUserTower:
    """The user tower, ready to be scripted."""
    own = (_tables(towers, USER), _ids(towers, USER), fuse(towers.user), towers.bags[USER])
    return PlainUserTower(*own, towers.pooling, towers.has_items).eval()


def plain_pin_tower(towers: TwoTowers) -> PlainPinTower:
    """The pin tower, ready to be scripted."""
    own = (_tables(towers, PIN), _ids(towers, PIN), towers.pin, towers.bags[PIN])
    return PlainPinTower(*own).eval()


def _tables(towers: TwoTowers, side: str) -> PlainTables:
    return PlainTables({name: towers.table(name) for name in towers.looked_up(side)})


def _ids(towers: TwoTowers, side: str) -> PlainIds:
    fields = towers.id_fields[side]
    tables: list[nn.Module] = [towers.id_table(table) for table, _ in fields.values()]
    if towers.has_int8_ids:
        tables = [Int8Vectors(towers.id_table(table).weight) for table, _ in fields.values()]
    return PlainIds(tables, list(fields), [feature for _, feature in fields.values()])
