"""What the log shows of the truth."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from homefeed.events.simulator import simulate as simulation
from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.simulate import simulate
from homefeed.events.simulator.world import draw_world
from tests.events.simulator.small import SMALL, TINY, Simulated


def run(config: Simulator, folder: Path, impressions: bool = False) -> pa.Table:
    folder.mkdir()
    shown = folder / "impressions.parquet" if impressions else None
    simulate(draw_world(config), folder / "engagements.parquet", shown)
    return pq.read_table(folder / "engagements.parquet")


def test_equal_settings_give_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    first, second = run(TINY, tmp_path / "a"), run(TINY, tmp_path / "b")
    assert first.equals(second)
    a, b = ((tmp_path / name / "engagements.parquet").read_bytes() for name in "ab")
    assert a == b
    assert not first.equals(run(replace(TINY, seed=1), tmp_path / "c"))


def test_writing_impressions_changes_no_engagement(tmp_path: Path) -> None:
    assert run(TINY, tmp_path / "a").equals(run(TINY, tmp_path / "b", impressions=True))


def test_a_day_is_cut_where_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "IMPRESSIONS_AT_ONCE", 200)
    table = run(TINY, tmp_path / "a")
    groups = pq.ParquetFile(tmp_path / "a" / "engagements.parquet").num_row_groups
    # 160 sessions a day are 1,600 impressions; some places repeat a pin and are not shown.
    assert groups >= 10 * 1_600 / 200
    assert table.num_rows == pytest.approx(4_000, rel=0.1)
    assert (np.diff(table["timestamp"].to_numpy()) >= 0).all()


def test_nothing_is_done_twice_in_a_second(tmp_path: Path) -> None:
    # One user with so many sessions that some run at once.
    config = replace(TINY, users=1, pins=40, days=1, surfaces={"search": 1.0})
    table = run(config, tmp_path / "a")
    assert table.num_rows == table.group_by(table.column_names).aggregate([]).num_rows
    both = table.group_by(["timestamp", "pin_id"]).aggregate([])
    assert both.num_rows < table.num_rows


def test_about_as_many_engagements_as_were_asked_for(simulated: Simulated) -> None:
    num = int(simulated.engaged.sum())
    assert num == pytest.approx(60_000, rel=0.03)
    assert num / len(simulated.engaged) == pytest.approx(0.25, abs=0.01)


def test_no_pin_is_shown_before_it_is_made(simulated: Simulated) -> None:
    created_at = simulated.world.pins.created_at[simulated.pins]
    assert (simulated.columns["timestamp"] > created_at).all()


def test_a_session_shows_a_pin_once(simulated: Simulated) -> None:
    position = simulated.columns["position"]
    start = simulated.columns["timestamp"] - 6 * (position - 1)
    shown = np.stack([simulated.users, simulated.pins, start], axis=1)
    # Two sessions of a user may begin in the same second; hardly more.
    assert len(shown) - len(np.unique(shown, axis=0)) <= 3
    assert set(position) == set(range(1, 11))


def test_users_engage_with_pins_of_their_interests(simulated: Simulated) -> None:
    users, pins = simulated.users[simulated.engaged], simulated.pins[simulated.engaged]
    own, interest = simulated.world.users.interests[:, users], simulated.world.pins.interests[0]

    def share(of: np.ndarray) -> float:
        return (own == interest[of]).any(axis=0).mean()

    by_chance = share(np.random.default_rng(0).permutation(pins))
    assert share(pins) > 0.9
    assert by_chance < 0.6


def test_what_stands_higher_is_engaged_with_more(simulated: Simulated) -> None:
    position, surface = simulated.columns["position"], simulated.columns["surface"]
    falls = {}
    for name in ("home", "search", "related"):
        of_surface = surface == name
        rates = [
            simulated.engaged[of_surface & (position >= first) & (position < first + 3)].mean()
            for first in (1, 4, 7)
        ]
        assert rates[0] > rates[1] > rates[2]
        falls[name] = rates[0] / rates[2]
    assert falls["search"] > falls["home"]


def test_surfaces_show_different_things(simulated: Simulated) -> None:
    surface, source = simulated.columns["surface"], simulated.columns["source_interest"]
    position = simulated.columns["position"]
    start = simulated.columns["timestamp"] - 6 * (position - 1)
    names = np.array(sorted(set(source)))
    own = names[simulated.world.users.interests[:, simulated.users]]
    is_own = (own == source).any(axis=0)
    num_sources = {}
    for name in ("home", "search", "related"):
        rows = surface == name
        session = np.stack([simulated.users[rows], start[rows]], axis=1)
        with_source = np.column_stack([session, np.searchsorted(names, source[rows])])
        num_sources[name] = len(np.unique(with_source, axis=0)) / len(np.unique(session, axis=0))
    # Home has something of everything; a search is of one of the user's interests.
    assert num_sources["home"] > 3
    assert num_sources["search"] == pytest.approx(1, abs=0.01)
    assert 1 < num_sources["related"] < 2
    assert is_own[surface == "search"].all()
    assert 0.8 < is_own[surface == "home"].mean() < 0.95
    sessions = {name: (position[surface == name] == 1).mean() for name in num_sources}
    assert all(sessions.values())


def test_a_pin_is_shown_through_its_own_interest(simulated: Simulated) -> None:
    names = np.array(sorted(set(simulated.columns["source_interest"])))
    first = simulated.world.pins.interests[0][simulated.pins]
    np.testing.assert_array_equal(names[first], simulated.columns["source_interest"])


def test_trends_show_in_the_log(simulated: Simulated) -> None:
    interests, rises = simulated.world.interests, []
    source = simulated.world.pins.interests[0][simulated.pins[simulated.engaged]]
    days = simulated.days[simulated.engaged]
    for which, day, width in zip(
        interests.trend_interest, interests.trend_day, interests.trend_width, strict=True
    ):
        is_near = np.abs(days - day) < width
        rises.append(np.mean(source[is_near] == which) / np.mean(source[~is_near] == which))
    assert np.mean(rises) > 1.5


def test_drift_shows_in_the_log(simulated: Simulated) -> None:
    source = simulated.world.pins.interests[0][simulated.pins]
    own = simulated.world.users.interests
    # Those of the most active users, who have enough of both.
    active = np.argsort(-simulated.world.users.activity)[:100]
    early, late = simulated.days < 10, simulated.days >= 50

    def counts(rows: np.ndarray) -> np.ndarray:
        of_active = rows & simulated.engaged & np.isin(simulated.users, active)
        pairs = simulated.users[of_active] * SMALL.interests + source[of_active]
        return np.bincount(pairs, minlength=SMALL.users * SMALL.interests)

    first, second = (counts(rows).reshape(-1, SMALL.interests)[active] for rows in (early, late))
    found = first / first.sum(axis=1, keepdims=True) - second / second.sum(axis=1, keepdims=True)
    change = simulated.world.mix(active, 5.0) - simulated.world.mix(active, 55.0)
    true = np.zeros(found.shape)
    for slot, of_slot in zip(own[:, active], change, strict=True):
        true[np.arange(len(active)), slot] += of_slot
    assert np.corrcoef(found.ravel(), true.ravel())[0, 1] > 0.6


def test_activity_and_pins_have_long_tails(simulated: Simulated) -> None:
    for rows, share in ((simulated.users, 0.3), (simulated.pins, 0.3)):
        counts = np.sort(np.bincount(rows[simulated.engaged]))[::-1]
        assert counts[: len(counts) // 10].sum() > share * counts.sum()
