"""Time-decayed engagement sums of pins, for training examples and for the corpus alike.

`sum(w_action * 2^(-age / half_life))` over a pin's events strictly before the time it is taken at;
an event at that very time does not count. A half-life of 0 stands for no decay.
"""

import math
from collections.abc import Mapping
from typing import Any

import ibis
import ibis.expr.types as ir
from ibis import _
from ibis.common.deferred import Deferred

from homefeed.contracts import Column
from homefeed.dataset.layout import PIN_INDEX
from homefeed.features.config import StatisticsConfig

SECONDS_A_DAY = 86_400

_BLOCK = 256
"""Half-lives in a block of time. Within it weights grow up to 2^256, far from the largest double;
what is more than a block away weighs less than 2^-256 and is left out."""


def add_statistics(engagements: ir.Table, config: StatisticsConfig) -> ir.Table:
    """Adds the configured columns to each event: the sums of its pin strictly before it.

    Args:
        engagements: events with pin_index, action and timestamp.
        config: half-lives and weights of actions.

    Returns:
        The events with a float32 column for each half-life.
    """
    key = [PIN_INDEX, Column.TIMESTAMP]
    # One row for all events of a pin at one instant, as none of them is before another.
    instants = engagements.group_by(key).agg(weight=_weight(config.action_weights).sum())
    for name, half_life_days in zip(config.columns, config.half_life_days, strict=True):
        instants = _add_sum_before(instants, name, half_life_days)
    return engagements.join(instants.drop("weight"), key)


def statistics_at(engagements: ir.Table, as_of: int, config: StatisticsConfig) -> ir.Table:
    """The sums of each pin strictly before one instant.

    Args:
        engagements: events with pin_index, action and timestamp.
        as_of: Unix seconds.
        config: half-lives and weights of actions.

    Returns:
        pin_index and a float32 column for each half-life; only pins with an event before `as_of`.
    """
    sums = {
        name: decayed_sum(as_of, half_life_days, config.action_weights)
        for name, half_life_days in zip(config.columns, config.half_life_days, strict=True)
    }
    return engagements.filter(_.timestamp < as_of).group_by(PIN_INDEX).agg(**sums)


def decayed_sum(as_of: int, half_life_days: float, weights: Mapping[str, float]) -> Deferred:
    """The sum over a group of events, all before `as_of` (Unix seconds), as float32."""
    weight = _weight(weights)
    if half_life_days:
        age = as_of - _.timestamp
        weight *= _two_to_the(-age / (half_life_days * SECONDS_A_DAY))
    return weight.sum().cast("float32")


def _add_sum_before(instants: ir.Table, name: str, half_life_days: float) -> ir.Table:
    """Adds the sum of a pin's weights at earlier instants, decayed to each instant."""
    earlier = {"order_by": Column.TIMESTAMP, "rows": (None, -1)}
    if not half_life_days:
        total = _.weight.sum().over(ibis.window(group_by=PIN_INDEX, **earlier))
        return instants.mutate(**{name: total.fill_null(0.0).cast("float32")})
    half_life = half_life_days * SECONDS_A_DAY
    block = (_.timestamp / (_BLOCK * half_life)).floor().cast("int64")
    # Half-lives since the block began, in [0, _BLOCK).
    blocks = instants.mutate(block=block).mutate(age=_.timestamp / half_life - _.block * _BLOCK)
    grown = blocks.mutate(grown=_.weight * _two_to_the(_.age))
    within = _.grown.sum().over(ibis.window(group_by=[PIN_INDEX, "block"], **earlier))
    key = [PIN_INDEX, "block"]
    previous = grown.group_by(key).agg(carry=_.grown.sum()).mutate(block=_.block + 1)
    joined = grown.mutate(within=within).left_join(previous, key)
    total = _.within.fill_null(0.0) + _.carry.fill_null(0.0) * 2.0**-_BLOCK
    decayed = (total * _two_to_the(-_.age)).cast("float32")
    return joined.select(*instants.columns, **{name: decayed})


def _weight(weights: Mapping[str, float]) -> Deferred:
    if not weights:
        return _.action.notnull().cast("float64")
    return ibis.cases(*((_.action == action, float(w)) for action, w in weights.items()), else_=1.0)


def _two_to_the(exponent: ir.Value | Deferred) -> Any:
    return (exponent * math.log(2)).exp()
