"""Pods, CPU and memory for so many pins and requests a second.

A release of up to a million pins is measured; what lies beyond follows from it by the formulas
below, and is called extrapolated. Shards and 8-bit vectors are on paper: homefeed has neither.
"""

import math
import re
from collections.abc import Iterator, Mapping

import msgspec

from homefeed.capacity.measured import SMALL_PINS
from homefeed.evaluation.results import Record
from homefeed.index.config import IndexConfig

MOST_PINS = 1_000_000_000
GIB = 2**30
UTILISATION = 0.7
"""Of the CPUs that pods shall use; the chart's `autoscaling.cpuPercent`."""
TORCHSERVE_BYTES = 2 * GIB
"""The chart's `torchserve.memory`."""
SIDECAR_BYTES = GIB // 8
"""Of the sidecar without its index."""
FOLLOW_BYTES, FOLLOW_CPUS = GIB // 2, 0.1
"""Of the container that follows a channel."""
SERVERS = 2
"""TorchServe and the sidecar: each has the chart's `cpus`."""
HELD_INDEXES = 2
"""In memory, for half a minute, when a refresh takes the place of what is served."""
KEPT_RELEASES = 3
"""On the disk of a pod."""
HOURS_A_MONTH = 730


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be served."""

    pins: int
    requests_per_second: float
    dimension: int = 64
    users: int = 0
    cpus: int = 1
    """Of each container, as in the chart."""
    pod_memory_gib: float = 64.0
    """The most that a pod may take; a larger index is cut into shards."""

    def __post_init__(self) -> None:
        if not 1 <= self.pins <= MOST_PINS:
            raise ValueError(f"--pins {self.pins}: must be from 1 to {MOST_PINS:,}")
        for name, value in (("qps", self.requests_per_second), ("memory", self.pod_memory_gib)):
            if not 0 < value < math.inf:
                raise ValueError(f"--{name} {value:g}: must be a number above 0")
        if self.dimension < 1 or self.dimension % 2:
            raise ValueError(f"--dimension {self.dimension}: must be an even number of 2 or more")
        if self.users < 0:
            raise ValueError(f"--users {self.users}: must be 0 or more")
        if self.cpus < 1:
            raise ValueError(f"--cpus {self.cpus}: must be 1 or more")


class Prices(msgspec.Struct, frozen=True, kw_only=True):
    """Of what pods reserve, in any currency."""

    core_hour: float
    gib_hour: float

    def __post_init__(self) -> None:
        for name, value in (("core-hour", self.core_hour), ("gib-hour", self.gib_hour)):
            if not 0 <= value < math.inf:
                raise ValueError(f"--{name} {value:g}: must be 0 or more")


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """One way to serve it."""

    vectors: str
    """How they are stored."""
    shards: int
    pods: int
    """Of all shards together."""
    cpu_milliseconds: float
    """That a request takes, of all pods together."""
    index_gib: float
    """Of all shards, once."""
    pod_memory_gib: float
    disk_gib: float
    """Of one pod."""
    cores: float
    memory_gib: float
    """Reserved by all pods together."""
    monthly_cost: float | None
    on_paper: bool
    """Whether homefeed cannot do it yet."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a demand takes."""

    demand: Demand
    setups: list[Setup]
    extrapolated: list[str]
    """What was not measured, and what is assumed in its place."""
    measured: dict[str, Record]


def make_plan(demand: Demand, measured: Mapping[str, Record], prices: Prices | None) -> Plan:
    """Plans for a demand: with vectors as homefeed stores them, and with smaller ones.

    Raises:
        ValueError: not even an empty shard fits into a pod's memory.
    """
    setups = [_setup(demand, measured, prices, 4, "32 bits")]
    if not _is_exact(demand.pins):
        setups.append(_setup(demand, measured, prices, 1, "8 bits"))
    return Plan(
        demand=demand,
        setups=setups,
        extrapolated=list(_extrapolated(demand, measured, setups)),
        measured=dict(measured),
    )


def cpu_milliseconds(
    pins: float, shards: int, dimension: int, measured: Mapping[str, Record]
) -> float:
    """CPU time of a request whose search goes to `shards` of `pins` each."""
    return _request(measured, "small") + _growth(pins, shards, dimension, measured)


def sidecar_milliseconds(
    pins: float, shards: int, dimension: int, measured: Mapping[str, Record]
) -> float:
    """What of it the sidecars of one shard take: all that grows with pins and shards."""
    scale = dimension / measured["dimensions"].value
    growth = _growth(pins, shards, dimension, measured)
    return measured["exact search"].value * scale + growth / shards


def _request(measured: Mapping[str, Record], size: str) -> float:
    """CPU time of one as it was measured, on all cores of the machine."""
    throughput = measured[f"{size} throughput"]
    return 1000 * cores(throughput) / throughput.value


def _growth(pins: float, shards: int, dimension: int, measured: Mapping[str, Record]) -> float:
    scale = dimension / measured["dimensions"].value
    if _is_exact(pins):
        a_pin = measured["exact search"].value / SMALL_PINS
        search = a_pin * max(0.0, pins - SMALL_PINS) * scale
    else:
        more = _request(measured, "large") - _request(measured, "small")
        search = more * math.sqrt(pins / measured["large pins"].value) * scale
    hop = measured["sidecar"].value - measured["engine"].value
    return shards * search + (shards - 1) * hop


def cores(record: Record) -> int:
    """Of the machine on which something was measured."""
    found = re.search(r"(\d+) cores", record.machine)
    assert found, record.machine
    return int(found[1])


def _is_exact(pins: float) -> bool:
    return pins <= IndexConfig().flat_up_to


def _setup(
    demand: Demand,
    measured: Mapping[str, Record],
    prices: Prices | None,
    value_bytes: int,
    vectors: str,
) -> Setup:
    scale = demand.dimension / measured["dimensions"].value
    pin_bytes = (
        measured["vector bytes"].value / 4 * value_bytes * scale + measured["id bytes"].value
    )
    if not _is_exact(demand.pins):
        pin_bytes += measured["approximate bytes"].value * scale
    fixed = TORCHSERVE_BYTES + SIDECAR_BYTES + FOLLOW_BYTES
    room = demand.pod_memory_gib * GIB - fixed
    if room < HELD_INDEXES * pin_bytes:
        raise ValueError(
            f"--memory {demand.pod_memory_gib:g}: a pod takes {fixed / GIB:.2f} GiB before it "
            "holds any pin; give more"
        )
    shards = math.ceil(demand.pins * HELD_INDEXES * pin_bytes / room)
    pins = demand.pins / shards
    milliseconds = cpu_milliseconds(pins, shards, demand.dimension, measured)
    # Neither server can use what the other leaves of its CPUs.
    busiest = max(
        milliseconds / (SERVERS * shards),
        sidecar_milliseconds(pins, shards, demand.dimension, measured),
    )
    busy = demand.requests_per_second * busiest / 1000
    # One more, for the pod that a node or a rollout takes away.
    replicas = math.ceil(busy / (demand.cpus * UTILISATION)) + 1
    pods = shards * replicas
    pod_bytes = fixed + HELD_INDEXES * pins * pin_bytes
    disk = KEPT_RELEASES * (pins * pin_bytes + demand.users * measured["user bytes"].value)
    reserved = pods * (SERVERS * demand.cpus + FOLLOW_CPUS)
    memory = pods * pod_bytes / GIB
    cost = None
    if prices is not None:
        cost = HOURS_A_MONTH * (reserved * prices.core_hour + memory * prices.gib_hour)
    return Setup(
        vectors=vectors,
        shards=shards,
        pods=pods,
        cpu_milliseconds=milliseconds,
        index_gib=demand.pins * pin_bytes / GIB,
        pod_memory_gib=pod_bytes / GIB,
        disk_gib=disk / GIB,
        cores=reserved,
        memory_gib=memory,
        monthly_cost=cost,
        on_paper=shards > 1 or value_bytes < 4,
    )


def _extrapolated(
    demand: Demand, measured: Mapping[str, Record], setups: list[Setup]
) -> Iterator[str]:
    large, dimension = int(measured["large pins"].value), int(measured["dimensions"].value)
    if demand.pins not in (SMALL_PINS, large):
        how = (
            "an exact search is taken to cost in proportion to its pins"
            if _is_exact(demand.pins)
            else "an approximate search is taken to cost by the square root of its pins, as lists "
            "grow, and to find as much"
        )
        yield f"{demand.pins:,} pins: measured are {SMALL_PINS:,} and {large:,}; {how}"
    if demand.dimension != dimension:
        yield (
            f"{demand.dimension} dimensions: measured are {dimension}; time and bytes of the "
            "search are taken to be in proportion"
        )
    if demand.cpus != 1:
        yield f"cpus: {demand.cpus}: measured is 1; a pod is taken to answer in proportion"
    if any(setup.shards > 1 for setup in setups):
        yield (
            "shards: homefeed has none; each takes a search, and each beyond the first what a "
            "sidecar takes beyond its engine"
        )
    if any(setup.vectors != "32 bits" for setup in setups):
        yield "8 bits: homefeed stores 32; taken to be as fast and to find as much"
