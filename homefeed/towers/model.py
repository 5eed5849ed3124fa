"""The two towers over torchrec's embedding tables, as they are trained."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchrec import EmbeddingCollection, EmbeddingConfig, KeyedJaggedTensor
from torchrec.distributed.types import Awaitable

from homefeed.contracts import Column
from homefeed.features.encoder import (
    CONDITION,
    HISTORY,
    HISTORY_ACTIONS,
    HISTORY_AGES,
    PADDING_ROW,
    FeatureEncoder,
)
from homefeed.towers.config import TowersConfig
from homefeed.towers.ids import IdTables, IdVectors
from homefeed.towers.ids_config import PINS, USERS, id_fields
from homefeed.towers.tower import Items, PinTower, UserTower, pin_bags, user_bags

Features = Mapping[str, Tensor]
"""One side's encoded features: int64 [B, values] where embedded by row, float32 [B, n] else."""
Places = tuple[Tensor, Tensor]
"""Row of a history and place in it, int64 [P] each."""

USER, PIN = "user", "pin"


class UserVectors(NamedTuple):
    """Vectors of B users, float32 [B, K, D], and which of them a user has, bool [B, K]."""

    vectors: Tensor
    is_used: Tensor


class Found(NamedTuple):
    """Looked-up rows `[B, V]`: `values[n, d]` of the n that are not padding, in order."""

    values: Tensor
    is_there: Tensor


class TwoTowers(nn.Module):
    """User and pin tower; a vocabulary has one table, whichever side and however often it is read.

    So a pin is the same vector in a history as in the pin tower, unless the history has a table of
    its own.
    """

    _anchor: Tensor

    def __init__(
        self,
        encoder: FeatureEncoder,
        config: TowersConfig,
        id_dimension: int = 0,
        is_sharded: bool = False,
    ) -> None:
        """Makes new towers.

        Args:
            encoder: what they are fed.
            config: shapes.
            id_dimension: width of the ID tables, where they are used.
            is_sharded: whether the tables get their memory only when they are spread over the
                processes.
        """
        super().__init__()
        self.dimension, self.normalise = config.embedding_dimension, config.normalise
        self.is_conditional = config.condition is not None
        self._pooled = config.pooled_history
        self.bags = {
            USER: user_bags(encoder.user_inputs, config),
            PIN: pin_bags(encoder.pin_inputs, config),
        }
        self.has_items = config.sequence is not None or config.interests is not None
        self.deviation = config.deviation
        looked_up = {side: list(bags) for side, bags in self.bags.items()}
        if self.has_items:
            looked_up[USER] = list(dict.fromkeys([*looked_up[USER], HISTORY, HISTORY_ACTIONS]))
        num_rows = {name: len(vocabulary) for name, vocabulary in encoder.vocabularies.items()}
        num_rows[HISTORY] = num_rows[Column.PIN_ID]
        num_rows[HISTORY_ACTIONS] = len(encoder.actions)
        readers: dict[str, list[str]] = {}
        for side, names in looked_up.items():
            for name in names:
                readers.setdefault(self.table_of(name), []).append(f"{side}.{name}")
        # Columns may be called what no module of torch can be: "type", or a name with a dot.
        self._table_names = {name: f"table_{place}" for place, name in enumerate(readers)}
        self._looked_up = looked_up
        self.tables = EmbeddingCollection(
            device=torch.device("meta" if is_sharded else "cpu"),
            tables=[
                EmbeddingConfig(
                    name=self._table_names[name],
                    num_embeddings=num_rows[name],
                    embedding_dim=config.field_dimension,
                    feature_names=keys,
                    init_fn=partial(nn.init.normal_, std=self.deviation),
                )
                for name, keys in readers.items()
            ],
        )
        length = encoder.config.history.length
        self.user = UserTower(encoder.user_inputs, length, config, id_dimension)
        self.pin = PinTower(encoder.pin_inputs, config, id_dimension)
        ids = config.ids
        tables = () if ids is None else ids.tables
        self.has_int8_ids = ids is not None and ids.int8
        self.id_fields = {side: id_fields(tables, side == USER) for side in (USER, PIN)}
        columns = {USERS: Column.USER_ID, PINS: Column.PIN_ID}
        self.ids = nn.ModuleDict()
        if ids is not None:
            for table in tables:
                num_ids = len(encoder.vocabularies[columns[table]])
                self.ids[table] = IdVectors(num_ids, id_dimension, ids)
        self.register_buffer("_anchor", torch.empty(0), persistent=False)

    def forward(
        self, users: Features, pins: Features, places: Places | None = None
    ) -> tuple[UserVectors, Tensor]:
        """Users and N pins to vectors; one look-up in the tables.

        Args:
            users: of B users; with places, of P, but for the histories.
            pins: of N pins.
            places: embeds users as of these places of the histories.

        Returns:
            The users', and the pins' [N, D].
        """
        users, pins = self._moved(users), self._moved(pins)
        found = self._look_up({USER: users, PIN: pins})
        return self._user(found[USER], users, places), self._pin(found[PIN], pins)

    def load_ids(self, ids: IdTables) -> None:
        """Takes pre-trained vectors, in the order of the vocabularies."""
        for table in self.ids:
            self.id_table(table).load(ids[table])

    def embed_users(self, users: Features) -> UserVectors:
        """B users to vectors."""
        users = self._moved(users)
        return self._user(self._look_up({USER: users})[USER], users, None)

    def embed_pins(self, pins: Features) -> Tensor:
        """N pins to vectors `[N, D]`."""
        pins = self._moved(pins)
        return self._pin(self._look_up({PIN: pins})[PIN], pins)

    def table(self, name: str) -> Tensor:
        """The weights that a feature is looked up in, `[rows, d]`; row 0 is padding."""
        own = self._table_names[self.table_of(name)]
        return self.tables.state_dict()[f"embeddings.{own}.weight"]

    def id_table(self, table: str) -> IdVectors:
        """One of the ID tables in use."""
        found = self.ids[table]
        assert isinstance(found, IdVectors)
        return found

    def looked_up(self, side: str) -> list[str]:
        """Names of a side's features that are looked up in a table."""
        return self._looked_up[side]

    def table_of(self, name: str) -> str:
        """The vocabulary whose rows a feature holds; a history's are pins, or its own."""
        if name == HISTORY and not (self._pooled is not None and self._pooled.own_table):
            return Column.PIN_ID
        return Column.INTERESTS if name == CONDITION else name

    @property
    def pooling(self) -> str:
        """How the history is pooled; other bags are means."""
        return "mean" if self._pooled is None else self._pooled.pooling

    @property
    def device(self) -> torch.device:
        """Where the towers are; features are brought there."""
        return self._anchor.device

    def _moved(self, features: Features) -> dict[str, Tensor]:
        return {
            name: tensor.to(self.device, non_blocking=True) for name, tensor in features.items()
        }

    def _user(
        self, found: dict[str, Found], users: dict[str, Tensor], places: Places | None
    ) -> UserVectors:
        bags = {
            name: _pool(found[name], self.pooling if name == HISTORY else "mean")
            for name in self.bags[USER]
        }
        bags |= self._id_vectors(USER, users)
        items = None
        if self.has_items:
            pins, actions = (_padded(found[name]) for name in (HISTORY, HISTORY_ACTIONS))
            items = Items(pins, actions, users[HISTORY_AGES], found[HISTORY].is_there)
        return UserVectors(*self.user(bags, users, items, places))

    def _pin(self, found: dict[str, Found], pins: dict[str, Tensor]) -> Tensor:
        bags = {name: _pool(found[name], "mean") for name in self.bags[PIN]}
        return self.pin(bags | self._id_vectors(PIN, pins), pins)

    def _id_vectors(self, side: str, features: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: self.ids[table](features[feature])
            for name, (table, feature) in self.id_fields[side].items()
        }

    def _look_up(self, sides: Mapping[str, Features]) -> dict[str, dict[str, Found]]:
        """What is found by side and name."""
        # torchrec wants as many rows of every key: the shorter ones get empty ones.
        size = max(len(sides[side][name]) for side in sides for name in self._looked_up[side])
        keys, values, lengths = [], [], []
        masks: dict[str, dict[str, Tensor]] = {side: {} for side in sides}
        for side, names in self._looked_up.items():
            for name in names:
                keys.append(f"{side}.{name}")
                own = torch.zeros(size, dtype=torch.int64, device=self.device)
                if side in sides:
                    rows = sides[side][name]
                    is_there = masks[side][name] = rows != PADDING_ROW
                    values.append(rows[is_there])
                    own = nn.functional.pad(is_there.sum(dim=1), (0, size - len(rows)))
                lengths.append(own)
        jagged = KeyedJaggedTensor(keys, torch.cat(values), lengths=torch.cat(lengths))
        looked_up = self.tables(jagged)
        if isinstance(looked_up, Awaitable):
            looked_up = looked_up.wait()
        return {
            side: {
                name: Found(looked_up[f"{side}.{name}"].values(), is_there)
                for name, is_there in own.items()
            }
            for side, own in masks.items()
        }


def _pool(found: Found, pooling: str) -> Tensor:
    """`[B, d]`; zeros where there is nothing."""
    num_there = found.is_there.sum(dim=1)
    sums = torch.segment_reduce(found.values, "sum", lengths=num_there, unsafe=True, initial=0)
    divisor = num_there.clamp(min=1).unsqueeze(1).to(sums.dtype)
    return sums / (divisor.sqrt() if pooling == "sqrt" else divisor)


def _padded(found: Found) -> Tensor:
    """`[B, V, d]`; zeros for padding."""
    out = found.values.new_zeros(*found.is_there.shape, found.values.shape[1])
    return out.masked_scatter(found.is_there.unsqueeze(2), found.values)
