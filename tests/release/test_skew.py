import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.config import from_yaml
from homefeed.contracts import MANIFEST_FILE
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.features.config import FeaturesConfig, HistoryConfig, Numeric
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder, Vocabulary
from homefeed.release.config import OnlineSkewConfig
from homefeed.release.skew import check_online_skew
from homefeed.release.skew_report import COMPARISONS_FILE, REPORT_FILE, Skew
from homefeed.release.write_users import write_user_snapshot
from tests.data_fixtures import TINY_FEATURES
from tests.evaluation.known_release import KnownRelease, build_known_release

ALL_DAYS = OnlineSkewConfig(recent_days=30.0, min_rows=100)
FEATURES = FeaturesConfig(
    user=(*TINY_FEATURES.user, Numeric(column="karma")),
    pin=TINY_FEATURES.pin,
    history=HistoryConfig(length=7, delay_hours=12),
    statistics=TINY_FEATURES.statistics,
)


@pytest.fixture(scope="module")
def known(tiny_events: Path, tmp_path_factory: pytest.TempPathFactory) -> KnownRelease:
    """A release of users with a number, whose histories are cut and come late."""
    folder = tmp_path_factory.mktemp("online")
    shutil.copytree(tiny_events, folder / "events")
    users = pq.read_table(folder / "events" / "users.parquet")
    karma = pa.array([None if place % 7 == 0 else float(place) for place in range(len(users))])
    pq.write_table(users.append_column("karma", karma), folder / "events" / "users.parquet")
    build_dataset(folder / "events", DatasetConfig(), FEATURES, 0, folder / "dataset")
    return build_known_release(folder / "dataset", folder)


def with_snapshot(known: KnownRelease, to: Path, file: str, **columns: list) -> Path:
    """The release with a snapshot of a data set that has other values in some of its columns."""
    shutil.copytree(known.dataset, to / "dataset")
    shutil.copytree(known.folder, to / "release")
    table = pq.read_table(to / "dataset" / file)
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.array(values, table.schema.field(name).type))
    pq.write_table(table, to / "dataset" / file)
    shutil.rmtree(to / "release" / "users")
    write_user_snapshot(to / "dataset", to / "release" / "users")
    return to / "release"


def compared(folder: Path) -> Skew:
    return msgspec.json.decode((folder / COMPARISONS_FILE).read_bytes(), type=Skew)


def test_serving_that_encodes_as_the_training_did_does_not_differ(
    known: KnownRelease, tmp_path: Path
) -> None:
    check_online_skew(known.dataset, known.folder, ALL_DAYS, tmp_path / "skew")
    skew = compared(tmp_path / "skew")
    assert skew.num_rows > ALL_DAYS.min_rows
    names = ["age", "followed_interests", "history_length", "karma"]
    names += ["history", "history_actions", "history_ages", "history_length of requests now"]
    assert [each.feature for each in skew.comparisons] == names
    judged = [each for each in skew.comparisons if each.is_judged]
    assert [each.psi for each in judged] == [0.0] * 7
    assert {each.ks for each in judged} == {0.0, None}
    # What users have done since is no fault of serving: it is told, and no more.
    assert [each.feature for each in skew.comparisons if not each.is_judged] == names[-1:]


def test_a_feature_that_reaches_serving_in_another_form_is_refused(
    known: KnownRelease, tmp_path: Path
) -> None:
    ages = pq.read_table(known.dataset / "users.parquet")["age"].to_pylist()
    other = [None if age is None else f"{age}.0" for age in ages]
    release = with_snapshot(known, tmp_path, "users.parquet", age=other)
    with pytest.raises(ValueError, match="trained on other values than serving") as refused:
        check_online_skew(known.dataset, release, ALL_DAYS, tmp_path / "skew")
    (line,) = [line for line in str(refused.value).splitlines() if line.startswith("  ")]
    assert line.startswith("  age: PSI ")
    assert line.endswith("-> 100.0% (online_skew.max_unknown_rise=0.05)")
    assert "too far" in (tmp_path / "skew" / REPORT_FILE).read_text()
    assert not (tmp_path / "skew" / MANIFEST_FILE).exists()


def test_a_number_that_serving_lacks_is_refused(known: KnownRelease, tmp_path: Path) -> None:
    nothing = [None] * pq.read_metadata(known.dataset / "users.parquet").num_rows
    release = with_snapshot(known, tmp_path, "users.parquet", karma=nothing)
    with pytest.raises(ValueError, match=r"  karma: PSI [0-9.]+ .*KS"):
        check_online_skew(known.dataset, release, ALL_DAYS, tmp_path / "skew")


def test_histories_with_other_actions_are_refused(known: KnownRelease, tmp_path: Path) -> None:
    clicks = ["click"] * pq.read_metadata(known.dataset / "engagements.parquet").num_rows
    release = with_snapshot(known, tmp_path, "engagements.parquet", action=clicks)
    with pytest.raises(ValueError, match="  history_actions: PSI") as refused:
        check_online_skew(known.dataset, release, ALL_DAYS, tmp_path / "skew")
    assert "history_length" not in str(refused.value)


def test_users_that_the_snapshot_lacks_are_refused(known: KnownRelease, tmp_path: Path) -> None:
    ids = pq.read_table(known.dataset / "users.parquet")["user_id"].to_pylist()
    strangers = [f"{user} " for user in ids]
    release = with_snapshot(known, tmp_path, "users.parquet", user_id=strangers)
    with pytest.raises(ValueError, match="  history_length: PSI"):
        check_online_skew(known.dataset, release, ALL_DAYS, tmp_path / "skew")


def test_an_encoder_of_another_training_is_refused(known: KnownRelease, tmp_path: Path) -> None:
    shutil.copytree(known.folder, tmp_path / "release")
    encoder = FeatureEncoder.load(known.dataset / FEATURES_FILE)
    pins = Vocabulary(encoder.vocabularies["pin_id"].values[::-1])
    other = msgspec.structs.replace(encoder, vocabularies=encoder.vocabularies | {"pin_id": pins})
    other.save(tmp_path / "release" / FEATURES_FILE)
    with pytest.raises(ValueError, match="  history: PSI"):
        check_online_skew(known.dataset, tmp_path / "release", ALL_DAYS, tmp_path / "skew")


def test_too_few_rows_are_not_judged(
    known: KnownRelease, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for days in (1.0, 1e-9):
        config = OnlineSkewConfig(recent_days=days)
        check_online_skew(known.dataset, known.folder, config, tmp_path / f"{days}")
        assert "is not judged" in capfd.readouterr().err
    assert compared(tmp_path / "1e-09").num_rows == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recent_days: 0", "online_skew.recent_days=0 must be positive"),
        ("max_psi: -1", "online_skew.max_psi=-1 must be positive"),
        ("min_rows: 0", "online_skew.min_rows=0 must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_yaml(text, OnlineSkewConfig, "recipe")
