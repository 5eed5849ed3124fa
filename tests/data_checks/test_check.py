from collections import Counter
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.config import from_yaml
from homefeed.contracts import MANIFEST_FILE, Manifest
from homefeed.data_checks.check import check_data, read_profile
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.layout import (
    FINDINGS_FILE,
    PROFILE_FILE,
    REPORT_FILE,
    ColumnProfile,
    Finding,
    Profile,
)
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from homefeed.features.config import FeaturesConfig
from tests.data_fixtures import START, TINY_FEATURES, write_tiny_log

DAY = 86_400


@pytest.fixture(scope="module")
def checked(
    tiny_events: Path, tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    output = tmp_path_factory.mktemp("checked") / "checks"
    check_data(tiny_events, tiny_dataset, ChecksConfig(), None, output)
    return output


@pytest.fixture(scope="module")
def profile(checked: Path) -> Profile:
    return read_profile(checked)


def findings_of(folder: Path) -> list[Finding]:
    return msgspec.json.decode((folder / FINDINGS_FILE).read_bytes(), type=list[Finding])


def test_the_profile_counts_what_the_tables_hold(tiny_events: Path, profile: Profile) -> None:
    rows = pq.read_table(tiny_events / "engagements.parquet").to_pylist()
    num_duplicates = 1500 - len(rows)
    assert profile.num_engagements == len(rows)
    assert profile.num_users == len({row["user_id"] for row in rows})
    assert profile.num_pins == len({row["pin_id"] for row in rows})
    assert profile.duplicate_share == pytest.approx(num_duplicates / 1500)
    actions = Counter(row["action"] for row in rows)
    assert profile.actions == pytest.approx({k: v / len(rows) for k, v in actions.items()})
    assert list(profile.surfaces.items()) == [("home", 1.0)]
    days = Counter(row["timestamp"] // DAY for row in rows)
    assert list(profile.days.values()) == [days[day] for day in sorted(days)]
    last = max(row["timestamp"] for row in rows)
    assert profile.volume == sum(row["timestamp"] > last - 7 * DAY for row in rows) / 7
    assert (profile.known_pin_share, profile.known_user_share) == (1.0, 1.0)


def test_the_profile_knows_columns_as_the_features_are_used(
    tiny_dataset: Path, profile: Profile
) -> None:
    quality = pq.read_table(tiny_dataset / "pins.parquet")["quality"]
    known = [value for value in quality.to_pylist() if value is not None]
    assert profile.columns["pins.quality"] == ColumnProfile(
        null_share=quality.null_count / len(quality),
        low=min(known),
        high=max(known),
    )
    # An empty list says as little as null.
    assert profile.columns["users.inferred_interests"].null_share == 1.0
    assert profile.columns["users.followed_interests"].null_share == 0.0


def test_the_profile_says_what_of_the_test_part_training_has_seen(
    tiny_dataset: Path, profile: Profile
) -> None:
    rows = pq.read_table(tiny_dataset / "engagements.parquet").to_pylist()
    pins = {
        split: {row["pin_id"] for row in rows if row["split"] == split}
        for split in ("train", "test")
    }
    expected = len(pins["test"] & pins["train"]) / len(pins["test"])
    assert profile.splits["test"].seen_pin_share == pytest.approx(expected) != 1.0
    assert profile.splits["train"].seen_pin_share == 1.0


def test_the_same_data_again_are_fit(
    tiny_events: Path, tiny_dataset: Path, profile: Profile, tmp_path: Path
) -> None:
    manifest = check_data(tiny_events, tiny_dataset, ChecksConfig(), profile, tmp_path / "again")
    assert manifest.details["num_warnings"] == len(findings_of(tmp_path / "again")) == 0
    assert read_profile(tmp_path / "again") == profile
    page = (tmp_path / "again" / REPORT_FILE).read_text()
    assert "Everything is within its limits." in page
    assert page.index("Engagements a day") < page.index("Findings")


def test_errors_stop_and_are_all_named_after_the_report_was_written(
    tiny_events: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    text = """
    min_users: 41
    earliest: 2023-11-20T00:00:00Z
    ranges: {pins.quality: [-0.5, 9], users.age: [0, 120]}
    min_seen_user_share: 1.01
    """
    config = from_yaml(text, ChecksConfig, "checks")
    with pytest.raises(ValueError, match="not fit to train on") as refused:
        check_data(tiny_events, tiny_dataset, config, None, tmp_path / "checks")
    said = str(refused.value)
    assert "size: users: there are 40; checks.min_users=41." in said
    assert "lie before 2023-11-20, the first at 2023-11-1" in said
    assert "ranges: pins.quality: it has values from -" in said
    assert "ranges: users.age: it is no column of numbers" in said
    assert "training has seen" not in said
    levels = Counter(finding.level for finding in findings_of(tmp_path / "checks"))
    assert levels == {"error": 4, "warning": 2}
    assert "4 errors and 2 warnings" in (tmp_path / "checks" / REPORT_FILE).read_text()
    assert not (tmp_path / "checks" / MANIFEST_FILE).exists()


def test_what_changed_since_the_previous_run_is_refused(
    tiny_events: Path, tiny_dataset: Path, profile: Profile, tmp_path: Path
) -> None:
    previous = msgspec.structs.replace(
        profile,
        volume=2.5 * profile.volume,
        actions={"click": 0.4, "save": 0.35, "hide": 0.05, "share": 0.2},
        columns=profile.columns | {"users.age": ColumnProfile(null_share=0.0)},
    )
    with pytest.raises(ValueError, match="not fit") as refused:
        check_data(tiny_events, tiny_dataset, ChecksConfig(), previous, tmp_path / "checks")
    wrong = {(each.check, each.place) for each in findings_of(tmp_path / "checks")}
    assert wrong == {
        ("volume", "engagements"),
        ("mixture", "actions 'click'"),
        ("mixture", "actions 'share'"),
        ("nulls", "users.age"),
    }
    assert "0.40 times the previous run's" in str(refused.value)


def test_tables_of_another_form_are_refused_and_not_measured(
    tiny_events: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    events = tmp_path / "events"
    events.mkdir()
    for file in tiny_events.iterdir():
        (events / file.name).write_bytes(file.read_bytes())
    table = pq.read_table(events / "engagements.parquet").drop_columns(["surface"])
    times = table["timestamp"].cast(pa.float64())
    table = table.set_column(table.column_names.index("timestamp"), "timestamp", times)
    pq.write_table(table, events / "engagements.parquet")
    with pytest.raises(ValueError, match="surface: the column is missing") as refused:
        check_data(events, tiny_dataset, ChecksConfig(), None, tmp_path / "checks")
    assert "timestamp: the column is float64; it must be int64" in str(refused.value)
    assert not (tmp_path / "checks" / PROFILE_FILE).exists()
    assert "events/engagements.parquet surface" in (tmp_path / "checks" / REPORT_FILE).read_text()


def check_log(folder: Path, config: EventsConfig, features: FeaturesConfig) -> Manifest:
    import_events(config, folder / "events")
    build_dataset(folder / "events", DatasetConfig(), features, 0, folder / "dataset")
    return check_data(
        folder / "events", folder / "dataset", ChecksConfig(), None, folder / "checks"
    )


def test_days_without_engagements_are_a_warning(tmp_path: Path) -> None:
    hours = [hour for hour in range(10 * 24) if not 100 <= hour < 160]
    table = {
        "user_id": [f"u{hour % 20}" for hour in hours],
        "pin_id": [f"p{hour % 30}" for hour in hours],
        "timestamp": [START + 3600 * hour for hour in hours],
    }
    pq.write_table(pa.table(table), tmp_path / "log.parquet")
    log = EventsConfig(input=Tables(format="parquet", engagements=str(tmp_path / "log.parquet")))
    assert check_log(tmp_path, log, FeaturesConfig()).details["num_warnings"] == 1
    (finding,) = findings_of(tmp_path / "checks")
    assert (finding.level, finding.check) == ("warning", "gaps")
    assert finding.value.startswith("no engagement for 61 hours from 2023-11-")
    profile = read_profile(tmp_path / "checks")
    assert (profile.usual_gap_hours, profile.largest_gap_hours) == (1.0, 61.0)
    # There is no table of pins, so none can be missing in it.
    assert profile.known_pin_share is None


def test_tables_whose_ids_do_not_meet_are_refused(tmp_path: Path) -> None:
    log = write_tiny_log(tmp_path / "log")
    pins = pq.read_table(tmp_path / "log" / "pins.parquet")
    renamed = [f"{pin}.jpg" for pin in pins["pin_id"].to_pylist()]
    pq.write_table(
        pins.set_column(0, "pin_id", pa.array(renamed)), tmp_path / "log" / "pins.parquet"
    )
    with pytest.raises(ValueError, match="overlap: pins: 0.0% of the engagements are of pins"):
        check_log(tmp_path, log, TINY_FEATURES)


def test_a_data_set_of_other_events_is_refused(tiny_dataset: Path, tmp_path: Path) -> None:
    import_events(write_tiny_log(tmp_path / "log", seed=1), tmp_path / "events")
    with pytest.raises(ValueError, match="was not made of"):
        check_data(tmp_path / "events", tiny_dataset, ChecksConfig(), None, tmp_path / "checks")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("volume_days: 0", "checks.volume_days=0 must be at least 1"),
        ("min_volume_factor: 3", "checks.min_volume_factor=3 must lie between 0 and"),
        ("earliest: 2000-01-01T00:00:00", "checks.earliest=2000-01-01T00:00:00 has no time zone"),
        ("ranges: {price: [0, 1]}", "checks.ranges names 'price'"),
        ("ranges: {pins.price: [1, 0]}", "the smallest value before the largest"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_yaml(text, ChecksConfig, "recipe")
