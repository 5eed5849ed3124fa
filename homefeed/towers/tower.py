"""The dense part of each tower: features become fields of equal width, crossed into one vector.

A tower is given what was looked up for it, so that the same dense part runs on torchrec's tables in
training and on plain torch's where it is served.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from homefeed.contracts import Column
from homefeed.features.encoder import CONDITION, HISTORY, HISTORY_ACTIONS, NUMERIC, TowerInputs
from homefeed.towers.config import TowersConfig
from homefeed.towers.crossing.make import make_crossing
from homefeed.towers.history.make import make_interests
from homefeed.towers.history.sequence import SequenceEncoder
from homefeed.towers.ids import IdField
from homefeed.towers.ids_config import PINS, USERS, id_fields


class Items(NamedTuple):
    """Histories of B users, L items each, most recent first.

    Attributes:
        pins: looked-up vectors float32 [B, L, d].
        actions: likewise of what was done.
        ages: buckets int64 [B, L].
        is_there: false for padding, bool [B, L].
    """

    pins: Tensor
    actions: Tensor
    ages: Tensor
    is_there: Tensor


class Fields(nn.Module):
    """One field for each pooled embedding, each embedding feature, all numbers, each ID table."""

    def __init__(
        self,
        bags: list[str],
        inputs: TowerInputs,
        width: int,
        ids: dict[str, IdField],
        first_number: int = 0,
    ) -> None:
        """Takes what is fed.

        Args:
            bags: names of the pooled embeddings, in order.
            inputs: shapes of the features.
            width: of a field, d.
            ids: what makes fields of the vectors of ID tables, by name among the bags.
            first_number: numbers before it are not looked at.
        """
        super().__init__()
        self.bags = bags
        self.embeddings = list(inputs.embeddings)
        self.projections = nn.ModuleList(
            _mlp(dimension, width) for dimension in inputs.embeddings.values()
        )
        # A script knows no names of a module's.
        self.numeric = NUMERIC
        self.first_number = first_number
        num_numbers = inputs.num_numeric - first_number
        self.has_numbers = num_numbers > 0
        self.numbers = _mlp(num_numbers, width) if self.has_numbers else nn.Identity()
        self.ids = list(ids)
        self.id_fields = nn.ModuleList(ids.values())
        self.num_fields = len(bags) + len(self.embeddings) + self.has_numbers + len(ids)

    def forward(self, bags: dict[str, Tensor], features: dict[str, Tensor]) -> list[Tensor]:
        """`bags[name][B, d]` and `features[name]` to fields `[B, d]`."""
        fields = [bags[name] for name in self.bags]
        for place, projection in enumerate(self.projections):
            fields.append(projection(features[self.embeddings[place]]))
        if self.has_numbers:
            fields.append(self.numbers(features[self.numeric][:, self.first_number :]))
        for place, id_field in enumerate(self.id_fields):
            fields.append(id_field(bags[self.ids[place]]))
        return fields


class UserTower(nn.Module):
    """Users to K vectors each: as many as there are clusters of a history, else one."""

    def __init__(
        self, inputs: TowerInputs, length: int, config: TowersConfig, id_dimension: int
    ) -> None:
        """Takes what is fed.

        Args:
            inputs: shapes of the features.
            length: most items of a history, L.
            config: shapes of the tower.
            id_dimension: width of the ID tables, where they are used.
        """
        super().__init__()
        width = config.field_dimension
        self.normalise = config.normalise
        ids = _make_id_fields(config, True, id_dimension)
        # The length is the first of a user's numbers.
        first_number = 0 if config.history_length else 1
        self.fields = Fields(user_bags(inputs, config), inputs, width, ids, first_number)
        self.sequence = (
            None
            if config.sequence is None
            else SequenceEncoder(width, length, config.sequence, config.deviation)
        )
        self.interests = (
            None if config.interests is None else make_interests(width, length, config.interests)
        )
        num_more = (self.sequence is not None) + (self.interests is not None)
        self.crossing = make_crossing(
            self.fields.num_fields + num_more,
            width,
            config.embedding_dimension,
            config.crossing,
            config.dropout,
        )

    def forward(
        self,
        bags: dict[str, Tensor],
        features: dict[str, Tensor],
        items: Items | None = None,
        places: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Embeds B users, or P places of the histories of some.

        Args:
            bags: pooled embeddings `[B, d]` by name.
            features: `[B, n]` by name.
            items: the histories, for a tower that looks at them item by item.
            places: row of the history and place in it, int64 [P] each; then B is P, and what is
                embedded is a user as of that place of the history.

        Returns:
            Vectors `[B, K, D]`, and which of them a user has, bool [B, K]; others are zeros.
        """
        fields = self.fields(bags, features)
        if self.sequence is not None:
            assert items is not None
            outputs = self.sequence(items.pins, items.actions, items.ages, items.is_there)
            fields.append(outputs[:, 0] if places is None else outputs[places[0], places[1]])
        stacked = torch.stack(fields, dim=1).unsqueeze(1) if fields else torch.empty(0)
        if self.interests is None:
            vectors = self.crossing(stacked.squeeze(1)).unsqueeze(1)
            is_used = torch.ones(vectors.shape[:2], dtype=torch.bool, device=vectors.device)
        else:
            assert items is not None
            clusters, is_used = self.interests(items.pins, items.actions, items.is_there)
            shape = (clusters.shape[0], clusters.shape[1])
            own = clusters.unsqueeze(2)
            if fields:
                own = torch.cat([stacked.expand(-1, shape[1], -1, -1), own], dim=2)
            vectors = self.crossing(own.flatten(0, 1)).unflatten(0, shape)
        if self.normalise:
            vectors = nn.functional.normalize(vectors, dim=2)
        if self.interests is not None:
            vectors = vectors * is_used.unsqueeze(2)
        return vectors, is_used


class PinTower(nn.Module):
    """Pins to one vector each."""

    def __init__(self, inputs: TowerInputs, config: TowersConfig, id_dimension: int) -> None:
        """Takes what is fed.

        Args:
            inputs: shapes of the features.
            config: shapes of the tower.
            id_dimension: width of the ID tables, where they are used.
        """
        super().__init__()
        self.normalise = config.normalise
        ids = _make_id_fields(config, False, id_dimension)
        self.fields = Fields(pin_bags(inputs, config), inputs, config.field_dimension, ids)
        self.crossing = make_crossing(
            self.fields.num_fields,
            config.field_dimension,
            config.embedding_dimension,
            config.pin_crossing or config.crossing,
            config.dropout,
        )

    def forward(self, bags: dict[str, Tensor], features: dict[str, Tensor]) -> Tensor:
        """`bags[name][N, d]` and `features[name][N, n]` to `[N, D]`."""
        vectors = self.crossing(torch.stack(self.fields(bags, features), dim=1))
        return nn.functional.normalize(vectors, dim=1) if self.normalise else vectors


def _mlp(input_width: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(input_width, width), nn.ReLU(), nn.Linear(width, width))


def _make_id_fields(config: TowersConfig, is_user: bool, id_dimension: int) -> dict[str, IdField]:
    if config.ids is None:
        return {}
    names = id_fields(config.ids.tables, is_user)
    shape = (id_dimension, config.field_dimension, config.ids.dropout)
    return {name: IdField(*shape) for name in names}


def pin_bags(inputs: TowerInputs, config: TowersConfig) -> list[str]:
    """Names of the pin tower's pooled embeddings, in order."""
    return _without(inputs, Column.PIN_ID, PINS, config)


def user_bags(inputs: TowerInputs, config: TowersConfig) -> list[str]:
    """Names of the user tower's pooled embeddings, in order."""
    bags = _without(inputs, Column.USER_ID, USERS, config)
    if config.pooled_history is not None:
        bags = [HISTORY, *[HISTORY_ACTIONS] * config.pooled_history.actions, *bags]
    return bags + [CONDITION] * (config.condition is not None)


def _without(inputs: TowerInputs, column: str, table: str, config: TowersConfig) -> list[str]:
    is_replaced = config.ids is not None and config.ids.replaces and table in config.ids.tables
    return [name for name in inputs.categorical if not (is_replaced and name == column)]
