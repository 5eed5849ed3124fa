"""Plans: what was measured comes out again, and what follows from it is said to."""

import math
from typing import Any

import pytest
import yaml

from homefeed.capacity import plan as planning
from homefeed.capacity.measured import SMALL_PINS, read_measured
from homefeed.capacity.plan import (
    FOLLOW_BYTES,
    GIB,
    HELD_INDEXES,
    SIDECAR_BYTES,
    TORCHSERVE_BYTES,
    UTILISATION,
    Demand,
    Plan,
    Prices,
    Setup,
    cpu_milliseconds,
    make_plan,
)
from tests.helm.chart import CHART

MEASURED = read_measured()
LARGE = 1_000_000


def plan(prices: Prices | None = None, **demand: Any) -> Plan:
    wanted: dict[str, Any] = {"pins": LARGE, "requests_per_second": 100.0, **demand}
    return make_plan(Demand(**wanted), MEASURED, prices)


def built(**demand: Any) -> Setup:
    """With vectors as homefeed stores them."""
    return plan(**demand).setups[0]


@pytest.mark.parametrize(("pins", "size"), [(SMALL_PINS, "small"), (LARGE, "large")])
def test_what_was_measured_comes_out_again(pins: int, size: str) -> None:
    throughput = MEASURED[f"{size} throughput"].value
    assert cpu_milliseconds(pins, 1, 64, MEASURED) == pytest.approx(2 * 1000 / throughput)
    # All that one pod answers at its utilisation takes that pod, and the spare one.
    assert built(pins=pins, requests_per_second=0.99 * UTILISATION * throughput).pods == 2
    assert built(pins=pins, requests_per_second=1.01 * UTILISATION * throughput).pods == 3
    assert plan(pins=SMALL_PINS).extrapolated == []


@pytest.mark.parametrize("pins", [10**5, 10**7, 10**8])
def test_a_sidecar_has_the_cpu_that_its_searches_take(pins: int) -> None:
    wanted = 5000.0
    setup = built(pins=pins, requests_per_second=wanted)
    # What a request takes more than on the smallest corpus is searched for in the sidecar.
    searching = wanted * (setup.cpu_milliseconds - cpu_milliseconds(SMALL_PINS, 1, 64, MEASURED))
    assert setup.pods - 1 >= searching / 1000 / UTILISATION


def test_memory_is_that_of_the_containers_and_of_two_indexes() -> None:
    setup = built()
    a_pin = sum(MEASURED[f"{part} bytes"].value for part in ("vector", "approximate", "id"))
    assert setup.index_gib * GIB == pytest.approx(LARGE * a_pin)
    fixed = TORCHSERVE_BYTES + SIDECAR_BYTES + FOLLOW_BYTES
    assert setup.pod_memory_gib * GIB == pytest.approx(fixed + HELD_INDEXES * LARGE * a_pin)
    assert setup.memory_gib == pytest.approx(setup.pods * setup.pod_memory_gib)
    assert setup.cores == pytest.approx(setup.pods * 2.1)


def test_users_take_disk_alone() -> None:
    few, many = built(users=0), built(users=1_000_000)
    of_users = 3 * 1_000_000 * MEASURED["user bytes"].value
    assert (many.disk_gib - few.disk_gib) * GIB == pytest.approx(of_users)
    assert many.memory_gib == few.memory_gib


@pytest.mark.parametrize("name", ["pins", "requests_per_second", "dimension"])
def test_more_never_takes_less(name: str) -> None:
    values = {
        "pins": [10**6, 10**7, 10**8, 10**9],
        "requests_per_second": [1.0, 1e2, 1e4, 1e6],
        "dimension": [32, 64, 128, 256],
    }[name]
    setups = [built(**{name: value}) for value in values]
    for less, more in zip(setups, setups[1:], strict=False):
        assert more.cores >= less.cores
        assert more.memory_gib >= less.memory_gib
        assert more.pods >= less.pods


def test_an_index_that_no_pod_holds_is_cut_on_paper() -> None:
    setup = built(pins=10**9, pod_memory_gib=64.0)
    assert setup.shards > 1
    assert setup.on_paper
    assert setup.pod_memory_gib <= 64
    assert setup.pods % setup.shards == 0
    room = built(pins=10**9, pod_memory_gib=1024.0)
    assert (room.shards, room.on_paper) == (1, False)
    # Each shard is searched, and the way to it costs too.
    assert setup.cpu_milliseconds > room.cpu_milliseconds
    assert room.index_gib == pytest.approx(setup.index_gib)


def test_small_vectors_are_on_paper_and_take_less_memory() -> None:
    large, small = plan(pins=10**8).setups
    assert (large.vectors, small.vectors) == ("32 bits", "8 bits")
    assert small.on_paper
    assert small.index_gib < large.index_gib / 2
    # An exact search has no other vectors to look at first.
    assert [setup.vectors for setup in plan(pins=200_000).setups] == ["32 bits"]


def test_what_was_not_measured_is_called_extrapolated() -> None:
    texts = plan(
        pins=10**9, dimension=128, cpus=4, requests_per_second=5000.0, pod_memory_gib=32.0
    ).extrapolated
    assert [text.partition(":")[0] for text in texts] == [
        "1,000,000,000 pins",
        "128 dimensions",
        "cpus",
        "shards",
        "8 bits",
    ]
    assert "in proportion to its pins" in plan(pins=100_000).extrapolated[0]


def test_cost_is_reckoned_from_prices_alone() -> None:
    assert built().monthly_cost is None
    (setup, _) = plan(Prices(core_hour=0.04, gib_hour=0.005)).setups
    assert setup.monthly_cost == pytest.approx(
        730 * (0.04 * setup.cores + 0.005 * setup.memory_gib)
    )


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"pins": 0}, "--pins 0: must be from 1 to 1,000,000,000"),
        ({"pins": 10**9 + 1}, "--pins 1000000001: must be from 1 to"),
        ({"requests_per_second": 0.0}, "--qps 0: must be a number above 0"),
        ({"requests_per_second": math.nan}, "--qps nan: must be a number above 0"),
        ({"dimension": 63}, "--dimension 63: must be an even number"),
        ({"users": -1}, "--users -1: must be 0 or more"),
        ({"cpus": 0}, "--cpus 0: must be 1 or more"),
        ({"pod_memory_gib": 2.0}, "--memory 2: a pod takes 2.62 GiB before it holds any pin"),
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        plan(**wrong)


def test_pods_are_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["autoscaling"]["cpuPercent"] == 100 * planning.UTILISATION
    assert values["torchserve"]["memory"] == f"{planning.TORCHSERVE_BYTES // GIB}Gi"
    assert values["release"]["memory"] == f"{planning.FOLLOW_BYTES // 2**20}Mi"
    assert values["cpus"] == Demand(pins=1, requests_per_second=1).cpus
    text = (CHART / "values.yaml").read_text()
    assert f"{planning.SIDECAR_BYTES // 2**20}Mi for the process, and the index; twice" in text
    follow = (CHART / "templates" / "_follow.tpl").read_text()
    assert f"cpu: {round(1000 * planning.FOLLOW_CPUS)}m" in follow
