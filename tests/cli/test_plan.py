"""`homefeed plan`, as a process."""

import json

import pytest

from tests.cli.homefeed_process import run_homefeed

MANY = ("plan", "--pins", "1e8", "--qps", "5000")


def test_it_shows_pods_what_is_extrapolated_and_the_inputs() -> None:
    finished = run_homefeed(*MANY)
    assert finished.returncode == 0, finished.stderr
    assert "100,000,000 pins, 5,000 requests a second" in finished.stdout
    assert "extrapolated: 100,000,000 pins: measured are 3,700 and 1,000,000" in finished.stdout
    assert "make bench-serving at" in finished.stdout
    assert "cost a month" not in finished.stdout


def test_json_holds_the_same_and_costs_where_prices_are_given() -> None:
    plain = json.loads(run_homefeed(*MANY, "--json").stdout)
    assert plain["demand"]["pins"] == 100_000_000
    assert plain["setups"][0]["monthly_cost"] is None
    assert plain["measured"]["large throughput"]["unit"] == "requests/s"
    priced = ("--core-hour", "0.04", "--gib-hour", "0.005")
    costly = json.loads(run_homefeed(*MANY, *priced, "--json").stdout)
    assert costly["setups"][0]["monthly_cost"] > 0
    assert "cost a month" in run_homefeed(*MANY, *priced).stdout


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--pins", "1.5"), "homefeed: --pins 1.5: must be a whole number"),
        (("--pins", "nan"), "homefeed: --pins nan: must be a whole number"),
        (("--pins", "2e9"), "homefeed: --pins 2000000000: must be from 1 to 1,000,000,000"),
        (("--core-hour", "0.04"), "homefeed: --core-hour and --gib-hour: give both"),
        (("--core-hour", "-1", "--gib-hour", "1"), "homefeed: --core-hour -1: must be 0 or more"),
    ],
)
def test_wrong_options_are_one_line(options: tuple[str, ...], complaint: str) -> None:
    finished = run_homefeed(*MANY, *options)
    assert finished.returncode == 1
    assert complaint in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
