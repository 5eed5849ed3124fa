"""The data set against its definition, example by example; a leak of any event shows here."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Granularity, read_manifest
from homefeed.dataset import examples as examples_module
from homefeed.dataset.build import build_dataset
from homefeed.dataset.config import DatasetConfig
from homefeed.dataset.layout import SPLITS
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events
from homefeed.features.config import FeaturesConfig, HistoryConfig, Numeric, StatisticsConfig
from homefeed.features.encoder import FeatureEncoder
from tests.data_fixtures import TINY_FEATURES

DAY = 86_400


def rows(path: Path) -> list[dict[str, Any]]:
    return pq.read_table(path).to_pylist()


def examples(dataset: Path, split: str) -> list[dict[str, Any]]:
    return rows(dataset / "examples" / split)


def check_against_definition(dataset: Path, features: FeaturesConfig) -> Iterator[int]:
    """Compares every example with what its user and pin had done before it; yields how much."""
    engagements = rows(dataset / "engagements.parquet")
    actions = FeatureEncoder.load(dataset / "features.json").actions.rows
    for place, split in enumerate(SPLITS):
        known = [e for e in engagements if e["split"] in SPLITS[: place + 1]]
        found = examples(dataset, split)
        own = {e["event_id"]: e for e in engagements if e["split"] == split}
        assert sorted(own) == sorted(example["event_id"] for example in found)
        for example in found:
            event = own[example["event_id"]]
            for name in ("user_index", "pin_index", "timestamp", "action"):
                assert example[name] == event[name]
            now = example["timestamp"]
            before = [e for e in known if e["timestamp"] < now]
            mine = [e for e in before if e["user_index"] == example["user_index"]]
            mine.sort(key=lambda e: (e["timestamp"], e["event_id"]), reverse=True)
            recent = mine[: features.history.length]
            assert example["history"] == [e["pin_index"] for e in recent]
            assert example["history_actions"] == [actions.get(e["action"], 1) for e in recent]
            assert example["history_times"] == [e["timestamp"] for e in recent]
            tied = [
                e
                for e in known
                if (e["user_index"], e["timestamp"]) == (example["user_index"], now)
                and e["event_id"] < example["event_id"]
            ]
            today = [e for e in mine if now - e["timestamp"] <= DAY]
            assert example["num_today"] == len(today) + len(tied)
            ages = [now - e["timestamp"] for e in before if e["pin_index"] == example["pin_index"]]
            statistics = features.statistics
            for days, name in zip(statistics.half_life_days, statistics.columns, strict=True):
                total = sum(2.0 ** (-age / (days * DAY)) if days else 1.0 for age in ages)
                assert example[name] == pytest.approx(total, rel=1e-5)
            yield len(recent)


@pytest.mark.parametrize("split", ["time", "leave_last_out", "random"])
def test_no_example_knows_its_own_time_or_later(
    tiny_events: Path, tmp_path: Path, split: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Several parts, so that their borders are tested too.
    monkeypatch.setattr(examples_module, "EVENTS_AT_ONCE", 600)
    config = DatasetConfig(split=split)
    build_dataset(tiny_events, config, TINY_FEATURES, seed=3, output=tmp_path / "dataset")
    assert len(list((tmp_path / "dataset/examples/train").iterdir())) == 3
    lengths = list(check_against_definition(tmp_path / "dataset", TINY_FEATURES))
    # The comparison is not an empty one: histories of every length, and ties that would leak.
    assert set(lengths) == set(range(TINY_FEATURES.history.length + 1))
    engagements = rows(tmp_path / "dataset" / "engagements.parquet")
    tied = {(e["user_index"], e["timestamp"]) for e in engagements}
    assert len(tied) < len(engagements)


def test_events_of_the_future_change_no_earlier_example(tiny_events: Path, tmp_path: Path) -> None:
    """What is added at or after an instant is in no example up to that instant."""
    log = pq.read_table(tiny_events / "engagements.parquet")
    instant = sorted(log["timestamp"].to_pylist())[700]
    features = FeaturesConfig(
        history=HistoryConfig(length=2000), statistics=StatisticsConfig(half_life_days=(1.0, 0.0))
    )

    def earlier_examples(name: str, added: list[dict[str, Any]]) -> list[dict[str, Any]]:
        new = pa.Table.from_pylist(added, log.select(["user_id", "pin_id", "timestamp"]).schema)
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.concat_tables([log.select(new.column_names), new]), path)
        source = EventsConfig(
            input=Tables(format="parquet", engagements=str(path)), max_reject_share=1
        )
        import_events(source, tmp_path / name / "events")
        build_dataset(
            tmp_path / name / "events", DatasetConfig(), features, 0, tmp_path / name / "dataset"
        )
        dataset = tmp_path / name / "dataset"
        pins = {p["pin_index"]: p["pin_id"] for p in rows(dataset / "pins.parquet")}
        every = [e for split in SPLITS for e in examples(dataset, split)]
        return [
            e | {"history": [pins[p] for p in e["history"]], "pin_index": pins[e["pin_index"]]}
            for e in sorted(every, key=lambda e: e["event_id"])
            if e["timestamp"] <= instant and e["event_id"] < log.num_rows
        ]

    first = log.slice(0, 300).to_pylist()
    future = [e | {"timestamp": instant + i} for i in range(2) for e in first]
    assert earlier_examples("as_it_was", []) == earlier_examples("with_future", future)


def test_manifest_and_tables(tiny_events: Path, tiny_dataset: Path) -> None:
    manifest = read_manifest(tiny_dataset, "dataset")
    assert manifest.inputs == {"events": read_manifest(tiny_events, "events").fingerprint}
    engagements = rows(tiny_dataset / "engagements.parquet")
    assert {e["action"] for e in engagements} == {"click", "save"}
    details = manifest.details
    for name, side in (("pins", "pin"), ("users", "user")):
        table = rows(tiny_dataset / f"{name}.parquet")
        assert [row[f"{side}_index"] for row in table] == list(range(details[f"num_{name}"]))
        ids = {row[f"{side}_index"]: row[f"{side}_id"] for row in table}
        assert all(e[f"{side}_id"] == ids[e[f"{side}_index"]] for e in engagements)
    for split in SPLITS:
        times = [e["timestamp"] for e in engagements if e["split"] == split]
        assert details["num_examples"][split] == len(times)
        start, end = details["windows"][split]
        assert start <= min(times)
        assert max(times) < end
    train, validation, test = (details["windows"][split] for split in SPLITS)
    assert train[1] == validation[0]
    assert validation[1] == test[0] == details["serving_time"]
    assert pq.read_schema(next((tiny_dataset / "examples/test").iterdir())).field(
        "history"
    ).type == pa.list_(pa.int32())


@pytest.mark.parametrize("split", ["leave_last_out", "random"])
def test_serving_time_follows_all_that_may_be_known(
    tiny_events: Path, tmp_path: Path, split: Any
) -> None:
    manifest = build_dataset(
        tiny_events, DatasetConfig(split=split), TINY_FEATURES, 0, tmp_path / "d"
    )
    known = [
        e["timestamp"] for e in rows(tmp_path / "d/engagements.parquet") if e["split"] != "test"
    ]
    assert manifest.details["serving_time"] == max(known) + 1


def test_the_encoder_knows_the_training_part_alone(tiny_dataset: Path) -> None:
    encoder = FeatureEncoder.load(tiny_dataset / "features.json")
    train = [e for e in rows(tiny_dataset / "engagements.parquet") if e["split"] == "train"]
    counts = Counter(e["pin_id"] for e in train)
    assert encoder.vocabularies["pin_id"].values == tuple(
        sorted(counts, key=lambda pin: (-counts[pin], pin))
    )
    pins = {p["pin_id"]: p for p in rows(tiny_dataset / "pins.parquet")}
    assert len(counts) < len(pins)
    for column in TINY_FEATURES.statistics.columns:
        values = np.log1p([example[column] for example in examples(tiny_dataset, "train")])
        moments = encoder.pin_moments[column]
        assert (moments.mean, moments.deviation) == pytest.approx((values.mean(), values.std()))
    quality = [pins[pin]["quality"] for pin in {e["pin_id"] for e in train}]
    known = [q for q in quality if q is not None]
    assert 0 < len(known) < len(quality)
    assert encoder.pin_moments["quality"].mean == pytest.approx(sum(known) / len(known))


def test_equal_inputs_give_equal_artifacts(
    tiny_events: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    again = build_dataset(tiny_events, DatasetConfig(), TINY_FEATURES, 0, tmp_path / "again")
    assert again.files == read_manifest(tiny_dataset, "dataset").files


@pytest.mark.parametrize(
    ("granularity", "signatures", "duplicates"),
    [
        ("canonical_signature", {"b": "one", "c": "k"}, {"a": "b"}),
        ("image_signature", {"a": "one", "b": "one", "c": "k"}, {}),
        ("pin", {"a": "one", "b": "one", "c": "k"}, {}),
    ],
)
def test_pins_of_one_signature_are_one_item(
    tmp_path: Path,
    granularity: Granularity,
    signatures: dict[str, str],
    duplicates: dict[str, str],
) -> None:
    log = {
        "user_id": ["u"] * 12,
        "pin_id": list("abcabcabcaab"),
        "action": ["click"] * 9 + ["hide"] * 3,
        "timestamp": range(1, 13),
    }
    # The first one that was made stands for both.
    made_at = {"created_at": [2, 1, None]}
    pins = {"pin_id": ["a", "b", "c"], "image_signature": ["i", "j", "k"], **made_at}
    pairs = {"image_signature": ["i", "j"], "canonical_signature": ["one", "one"]}
    blocked = {"pin_id": ["a"]}
    paths: dict[str, Any] = {}
    given = {"engagements": log, "pins": pins, "signatures": pairs, "blocked": blocked}
    for name, table in given.items():
        paths[name] = str(tmp_path / f"{name}.parquet")
        pq.write_table(pa.table({k: list(v) for k, v in table.items()}), paths[name])
    import_events(EventsConfig(input=Tables(format="parquet", **paths)), tmp_path / "events")
    config = FeaturesConfig(granularity=granularity)
    dataset = tmp_path / "dataset"
    manifest = build_dataset(tmp_path / "events", DatasetConfig(), config, 0, dataset)
    assert manifest.granularity == granularity
    found = rows(dataset / "pins.parquet")
    assert {pin["pin_id"]: pin["canonical_signature"] for pin in found} == signatures
    stands_for = {pin["pin_id"]: pin["item_id"] for pin in rows(dataset / "duplicates.parquet")}
    assert stands_for == duplicates
    item = {pin: stands_for.get(pin, pin) for pin in "abc"}
    assert {pin["pin_id"] for pin in found if pin["is_blocked"]} == {item["a"]}
    events = rows(dataset / "engagements.parquet")
    assert [event["pin_id"] for event in events] == [item[pin] for pin in "abcabcabc"]
    ids = {pin["pin_index"]: pin["pin_id"] for pin in found}
    hides = rows(dataset / "excluded.parquet")
    assert [ids[event["pin_index"]] for event in hides] == [item[pin] for pin in "aab"]
    # One user's log is enough for all of it. Before it, each pin was seen twice or three times.
    (last,) = examples(dataset, "test")
    assert last["engagements_all"] == 2.0
    (before,) = examples(dataset, "validation")
    assert before["engagements_all"] == (5.0 if duplicates else 2.0)


@pytest.mark.parametrize(
    ("config", "features", "message"),
    [
        (
            DatasetConfig(exclude_actions=("click", "save", "hide")),
            TINY_FEATURES,
            "leaves no event",
        ),
        (
            DatasetConfig(),
            FeaturesConfig(pin=(Numeric(column="price"),)),
            "features.pin 'price' is no column of the pins; those are pin_id, image_signature",
        ),
    ],
)
def test_what_cannot_be_built_is_refused(
    tiny_events: Path, tmp_path: Path, config: DatasetConfig, features: FeaturesConfig, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        build_dataset(tiny_events, config, features, 0, tmp_path / "dataset")
    assert not (tmp_path / "dataset" / "manifest.json").exists()


def test_a_log_without_time_cannot_be_split_by_it(tmp_path: Path) -> None:
    log = {"user_id": ["u"] * 9, "pin_id": list("abcdefghi"), "timestamp": [5] * 9}
    pq.write_table(pa.table(log), tmp_path / "log.parquet")
    source = Tables(format="parquet", engagements=str(tmp_path / "log.parquet"))
    import_events(EventsConfig(input=source), tmp_path / "events")
    with pytest.raises(ValueError, match="'time' leaves no event for train and validation"):
        build_dataset(
            tmp_path / "events", DatasetConfig(), FeaturesConfig(), 0, tmp_path / "dataset"
        )
