from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Granularity
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from homefeed.id_embeddings.config import IdRecipe, Source
from homefeed.id_embeddings.prepare import Pairs, prepare
from tests.data_fixtures import START
from tests.id_embeddings.logs import days, id_recipe

DAY = 86_400
# User, pin, action, days after the start of the log; not in order of time.
HOME = [
    ("ü", "b", "click", 3.0),
    ("ü", "a", "save", 1.0),
    ("v", "c", "hide", 2.0),
    ("v", "a", "click", 5.0),
    ("v", "d", "click", 0.5),
]
BOARDS = [("v", "b", "click", 2.5), ("w", "a", "click", 1.0)]


def write_events(
    folder: Path, rows: list[tuple[str, str, str, float]]
) -> tuple[Path, EventsConfig]:
    """Events artifact and section of a log of these engagements."""
    folder.mkdir()
    users, pins, actions, when = zip(*rows, strict=True)
    table = pa.table(
        {
            "user_id": users,
            "pin_id": pins,
            "action": actions,
            "timestamp": [START + int(day * DAY) for day in when],
        }
    )
    pq.write_table(table, folder / "log.parquet")
    config = EventsConfig(input=Tables(format="parquet", engagements=str(folder / "log.parquet")))
    import_events(config, folder / "events")
    return folder / "events", config


@pytest.fixture
def home(tmp_path: Path) -> tuple[Path, EventsConfig]:
    return write_events(tmp_path / "home", HOME)


@pytest.fixture
def boards(tmp_path: Path) -> tuple[Path, EventsConfig]:
    return write_events(tmp_path / "boards", BOARDS)


def prepared(events: list[Path], recipe: IdRecipe, folder: Path) -> list[tuple[str, str, int]]:
    """User, pin and time of each positive, by way of its rows."""
    prepare(events, recipe, folder)
    users = pq.read_table(folder / "user_ids.parquet")["user_id"].to_pylist()
    pins = pq.read_table(folder / "pin_ids.parquet")["pin_id"].to_pylist()
    pairs = Pairs.read(folder)
    assert (users, pins) == (sorted(users), sorted(pins))
    assert (pairs.num_users, pairs.num_pins) == (len(users), len(pins))
    rows = zip(pairs.users, pairs.pins, pairs.timestamps, strict=True)
    found = [(users[user], pins[pin], int(time)) for user, pin, time in rows]
    # Every id with a row has a positive.
    assert {user for user, _, _ in found} == set(users)
    assert {pin for _, pin, _ in found} == set(pins)
    return found


def test_all_positives_of_the_half_open_window_are_kept_in_order_of_time(
    home: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    events, config = home
    found = prepared([events], id_recipe(config, window=days(1, 5)), tmp_path / "prepared")
    assert found == [("ü", "a", START + DAY), ("ü", "b", START + 3 * DAY)]


def test_surfaces_share_pins_but_users_only_where_they_are_the_same(
    home: tuple[Path, EventsConfig], boards: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    recipe = id_recipe(home[1], boards[1], window=days(0, 3))
    both = prepared([home[0], boards[0]], recipe, tmp_path / "shared")
    assert [user for user, _, _ in both] == ["v", "ü", "w", "v"]
    own = (recipe.sources[0], Source(events=boards[1], user_namespace="boards"))
    recipe = msgspec.structs.replace(recipe, sources=own)
    apart = prepared([home[0], boards[0]], recipe, tmp_path / "apart")
    assert [user for user, _, _ in apart] == ["v", "ü", "boards:w", "boards:v"]
    assert [pin for _, pin, _ in apart] == ["d", "a", "a", "b"]


def test_the_order_in_which_artifacts_are_collected_does_not_matter(
    home: tuple[Path, EventsConfig], boards: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    recipe = id_recipe(home[1], boards[1])
    there = prepare([home[0], boards[0]], recipe, tmp_path / "there")
    back = prepare([boards[0], home[0]], recipe, tmp_path / "back")
    assert there == back
    assert len(set(there.values())) == 2
    for name in ("pairs.parquet", "user_ids.parquet", "pin_ids.parquet"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "back" / name).read_bytes()


def test_pins_of_one_image_get_one_row(home: tuple[Path, EventsConfig], tmp_path: Path) -> None:
    folder = tmp_path / "home"
    pins = pa.table(
        {
            "pin_id": ["a", "b", "c", "d"],
            "image_signature": ["1", "2", "3", "4"],
            "canonical_signature": ["1", "1", "3", "4"],
            "created_at": [START + 2, START + 1, START, START],
        }
    )
    pq.write_table(pins, folder / "pins.parquet")
    tables = Tables(
        format="parquet",
        engagements=str(folder / "log.parquet"),
        pins=str(folder / "pins.parquet"),
    )
    config = EventsConfig(input=tables)
    import_events(config, folder / "with_pins")
    recipe = id_recipe(config)
    assert [pin for _, pin, _ in prepared([folder / "with_pins"], recipe, tmp_path / "items")] == [
        *("d", "b", "b", "b")
    ]
    recipe = msgspec.structs.replace(recipe, granularity=Granularity.PIN)
    assert [pin for _, pin, _ in prepared([folder / "with_pins"], recipe, tmp_path / "pins")] == [
        *("d", "a", "b", "a")
    ]


def test_actions_that_are_no_positive_are_said_by_source(
    home: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    source = Source(events=home[1], exclude_actions=("click",))
    found = prepared([home[0]], id_recipe(sources=(source,)), tmp_path / "prepared")
    assert [(user, pin) for user, pin, _ in found] == [("ü", "a"), ("v", "c")]


def test_a_source_without_an_engagement_in_the_window_is_refused(
    home: tuple[Path, EventsConfig], boards: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    recipe = id_recipe(home[1], boards[1], window=days(3, 6))
    with pytest.raises(ValueError, match=r"sources\[1\] has no engagement in the window .*covers"):
        prepare([home[0], boards[0]], recipe, tmp_path / "prepared")


def test_artifacts_must_be_those_of_the_recipe(
    home: tuple[Path, EventsConfig], boards: tuple[Path, EventsConfig], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no events artifact of sources\[1\] among .*home"):
        prepare([home[0]], id_recipe(home[1], boards[1]), tmp_path / "prepared")
    with pytest.raises(ValueError, match=r"boards/events is of no source of the recipe"):
        prepare([home[0], boards[0]], id_recipe(home[1]), tmp_path / "prepared")
