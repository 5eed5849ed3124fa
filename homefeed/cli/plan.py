"""`homefeed plan`: what a corpus and its requests take, and what that was reckoned from."""

import msgspec

from homefeed.capacity.measured import read_measured
from homefeed.capacity.plan import UTILISATION, Demand, Plan, Prices, Setup, cores, make_plan
from homefeed.cli.console import console, make_table, say

NUMBERS = ("shards", "pods", "CPU ms a request", "index GiB", "memory GiB a pod", "disk GiB a pod",
           "cores", "memory GiB", "cost a month")  # fmt: skip


def show_plan(
    demand: Demand, core_hour: float | None, gib_hour: float | None, as_json: bool
) -> None:
    """Prints a plan.

    Args:
        demand: what is to be served.
        core_hour: price of a core for an hour; None reckons no cost.
        gib_hour: price of a GiB of memory for an hour.
        as_json: print it as JSON.

    Raises:
        ValueError: only one price is given, or nothing fits into a pod.
    """
    plan = make_plan(demand, read_measured(), _prices(core_hour, gib_hour))
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(plan)).decode())
        return
    _say_setups(plan)
    _say_notes(plan)


def whole(name: str, value: float) -> int:
    """A count that may be typed as 1e8.

    Raises:
        ValueError: it is no whole number.
    """
    if value != value // 1:
        raise ValueError(f"--{name} {value:g}: must be a whole number, such as 1000000 or 1e6")
    return int(value)


def _prices(core_hour: float | None, gib_hour: float | None) -> Prices | None:
    if core_hour is None and gib_hour is None:
        return None
    if core_hour is None or gib_hour is None:
        raise ValueError("--core-hour and --gib-hour: give both, or neither for no cost")
    return Prices(core_hour=core_hour, gib_hour=gib_hour)


def _say_setups(plan: Plan) -> None:
    demand = plan.demand
    has_cost = plan.setups[0].monthly_cost is not None
    columns = NUMBERS if has_cost else NUMBERS[:-1]
    title = f"{demand.pins:,} pins, {demand.requests_per_second:,g} requests a second"
    table = make_table("vectors", *columns, right=columns, title=title)
    for setup in plan.setups:
        table.add_row(*_cells(setup)[: 1 + len(columns)])
    console.print(table)


def _cells(setup: Setup) -> list[str]:
    return [
        f"{setup.vectors}{', on paper' if setup.on_paper else ''}",
        f"{setup.shards:,}",
        f"{setup.pods:,}",
        f"{setup.cpu_milliseconds:,.2f}",
        f"{setup.index_gib:,.2f}",
        f"{setup.pod_memory_gib:,.1f}",
        f"{setup.disk_gib:,.1f}",
        f"{setup.cores:,.1f}",
        f"{setup.memory_gib:,.1f}",
        f"{setup.monthly_cost or 0:,.0f}",
    ]


def _say_notes(plan: Plan) -> None:
    for text in plan.extrapolated:
        say(f"extrapolated: {text}")
    measured = plan.measured
    plain, filtered = measured["large throughput"], measured["filtered throughput"]
    pins, p99 = measured["large pins"].value, measured["large p99"].value
    say(
        f"pods are for {UTILISATION:.0%} of their CPUs, and one more for each shard; requests have "
        f"no filters. With filters a pod answered {filtered.value:,.0f} a second in place of "
        f"{plain.value:,.0f}."
    )
    say(
        f"measured: {plain.value:,.0f} requests a second at {pins:,.0f} pins, 16 connections, p99 "
        f"{p99:.0f} ms; {cores(plain)} cores, which the load shared"
    )
    table = make_table("input", "value", "from", right=("value",), title="Measured inputs")
    for name, record in measured.items():
        source = f"{record.command} at {record.commit}: {record.configuration}, {record.metric}"
        table.add_row(name, f"{record.value:,.6g} {record.unit}".rstrip(), source)
    console.print(table)
