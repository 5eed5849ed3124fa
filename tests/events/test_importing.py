import csv
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from homefeed.contracts import Window, read_manifest
from homefeed.events.config import EventsConfig, Tables
from homefeed.events.importing import import_events, source_fingerprint

NOON = 1_700_000_000


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    return pq.read_table(folder / f"{name}.parquet").to_pylist()


def rejects(folder: Path) -> list[dict[str, str]]:
    with (folder / "rejects.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def write_parquet(path: Path, columns: Mapping[str, Any]) -> str:
    pq.write_table(pa.table(dict(columns)), path)
    return str(path)


def write_csv(path: Path, text: str) -> str:
    path.write_text(text, newline="")
    return str(path)


def tables(tmp_path: Path, text: str, share: float = 1.0, **settings: Any) -> EventsConfig:
    """Engagements from CSV text."""
    path = write_csv(tmp_path / "log.csv", text)
    log = Tables(format="csv", engagements=path, **settings)
    return EventsConfig(input=log, max_reject_share=share)


def test_the_contract_of_every_table(tiny_log: EventsConfig, tiny_events: Path) -> None:
    engagements = pq.read_table(tiny_events / "engagements.parquet")
    assert {
        name: str(engagements.schema.field(name).type) for name in engagements.column_names
    } == {
        "event_id": "int64",
        "user_id": "string",
        "pin_id": "string",
        "action": "string",
        "surface": "string",
        "source_interest": "string",
        "timestamp": "int64",
    }
    order = list(zip(*(engagements[c].to_pylist() for c in ("timestamp", "event_id")), strict=True))
    assert order == sorted(order)
    pins = pq.read_table(tiny_events / "pins.parquet")
    assert str(pins.schema.field("created_at").type) == "int64"
    assert pins.schema.field("interests").type.value_type == pa.string()
    assert pins["image_signature"].equals(pins["pin_id"])
    users = pq.read_table(tiny_events / "users.parquet")
    assert users.schema.field("inferred_interests").type.value_type == pa.string()
    manifest = read_manifest(tiny_events, "events")
    assert manifest.window == Window(order[0][0], order[-1][0] + 1)
    assert manifest.details["num_engagements"] == engagements.num_rows
    assert manifest.details["num_pins"] == pins.num_rows == 60
    assert manifest.details["num_users"] == users.num_rows == 40
    assert isinstance(tiny_log.input, Tables)
    assert {path.name for path in tiny_events.parent.iterdir()} <= {"events", "dataset"}


def test_csv_and_parquet_give_the_same_tables(
    tiny_log: EventsConfig, tiny_events: Path, tmp_path: Path
) -> None:
    assert isinstance(tiny_log.input, Tables)
    paths: dict[str, Any] = {}
    for name in ("engagements", "pins", "users"):
        table = pq.read_table(getattr(tiny_log.input, name))
        for place, field in enumerate(table.schema):
            if pa.types.is_list(field.type):
                texts = ["|".join(values) for values in table[field.name].to_pylist()]
                table = table.set_column(place, field.name, pa.array(texts))
        paths[name] = str(tmp_path / f"{name}.csv")
        pyarrow.csv.write_csv(table, paths[name])
    import_events(EventsConfig(input=Tables(format="csv", **paths)), tmp_path / "out")
    for name in ("engagements", "users"):
        assert read(tmp_path / "out", name) == read(tiny_events, name)
    # A CSV has no numbers: what is one is said by the features of the recipe, later.
    own, others = read(tmp_path / "out", "pins"), read(tiny_events, "pins")
    quality, expected = ([pin.pop("quality") for pin in pins] for pins in (own, others))
    assert own == others
    assert [value and float(value) for value in quality] == expected


BAD_LOG = (
    "user_id,pin_id,timestamp,action\n"
    "007,1,100,save\n"
    "007,1,100,save\n"  # duplicate
    "007,1,100,click\n"
    "007,1,soon,save\n"  # unparseable
    ",2,100,save\n"  # no user
    '"a,b","q""x\ny",200,click\n'
    "ünï,,300,click\n"  # no pin
    "x,5,99999999999,click\n"  # future
    "x,5,,click\n"  # no time
    "x,5,100,\n"  # no action
    "y,6,-1,hide,extra\n"  # a malformed line
    "y,6,-1,hide\n"
)


def test_bad_rows_are_counted_and_listed_with_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = import_events(tables(tmp_path, BAD_LOG), tmp_path / "out")
    log = str(tmp_path / "log.csv")
    key = "user_id, pin_id, action, timestamp"
    found = [tuple(row.values()) for row in rejects(tmp_path / "out")]
    assert found == [
        (log, "2", key, "007, 1, save, 100", "duplicate"),
        (log, "4", "timestamp", "soon", "unparseable timestamp"),
        (log, "5", "user_id", "", "missing user_id"),
        (log, "7", "pin_id", "", "missing pin_id"),
        (log, "8", "timestamp", "99999999999", "future timestamp"),
        (log, "9", "timestamp", "", "missing timestamp"),
        (log, "10", "action", "", "missing action"),
        (log, "12", "", "y,6,-1,hide,extra", "malformed line"),
    ]
    assert manifest.details["num_rejected"] == {row[4]: 1 for row in found}
    kept = [
        (e["event_id"], e["user_id"], e["pin_id"]) for e in read(tmp_path / "out", "engagements")
    ]
    assert kept == [(10, "y", "6"), (0, "007", "1"), (2, "007", "1"), (5, "a,b", 'q"x\ny')]
    assert "future timestamp (1)" in capsys.readouterr().err


def test_too_many_bad_rows_stop_the_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8 of 12 engagements") as error:
        import_events(tables(tmp_path, BAD_LOG, share=0.5), tmp_path / "out")
    message = str(error.value)
    assert "more than events.max_reject_share=0.5" in message
    assert (
        f"{tmp_path / 'log.csv'} row 4, column timestamp: unparseable timestamp: 'soon'" in message
    )
    assert "Times are read as 'seconds'" in message
    assert len(rejects(tmp_path / "out")) == 8
    assert not (tmp_path / "out" / "manifest.json").exists()
    import_events(tables(tmp_path, BAD_LOG, share=0.67), tmp_path / "out")


def test_too_many_bad_pins_stop_the_run_too(tmp_path: Path) -> None:
    pins = write_csv(tmp_path / "pins.csv", "pin_id,created_at\n1,5\n1,5\n,5\n2,x\n")
    config = tables(tmp_path, "user_id,pin_id,timestamp\na,1,100\n", share=0.5, pins=pins)
    with pytest.raises(ValueError, match=r"3 of 4 pins in .*pins.csv are bad") as error:
        import_events(config, tmp_path / "out")
    for reason in ("duplicate pin_id", "missing pin_id", "unparseable created_at"):
        assert reason in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "reasons"),
    [
        (
            "pins",
            "pin_id,created_at\n1,x\n1,5\n1,6\n",
            ["unparseable created_at", "duplicate pin_id"],
        ),
        (
            "signatures",
            "image_signature,canonical_signature\n1,\n1,5\n1,6\n",
            ["missing canonical_signature", "duplicate image_signature"],
        ),
    ],
)
def test_a_bad_row_makes_no_later_one_a_duplicate(
    tmp_path: Path, name: str, text: str, reasons: list[str]
) -> None:
    settings: dict[str, Any] = {
        "pins": write_csv(tmp_path / "pins.csv", "pin_id,image_signature\n1,1\n")
    }
    settings |= {name: write_csv(tmp_path / f"{name}.csv", text)}
    import_events(
        tables(tmp_path, "user_id,pin_id,timestamp\na,1,9\n", **settings), tmp_path / "out"
    )
    assert [(row["row"], row["reason"]) for row in rejects(tmp_path / "out")] == [
        ("1", reasons[0]),
        ("3", reasons[1]),
    ]
    (good,) = read(tmp_path / "out", name)
    assert "5" in {str(value) for value in good.values()}


def test_rows_are_counted_without_malformed_lines(tmp_path: Path) -> None:
    text = 'user_id,pin_id,timestamp\n"a\na",1,5\nb,1,5,extra\nc,,5\nd,1,5,extra\ne,1,5\n'
    import_events(tables(tmp_path, text), tmp_path / "out")
    assert [(row["row"], row["reason"]) for row in rejects(tmp_path / "out")] == [
        ("2", "missing pin_id"),
        ("3", "malformed line"),
        ("5", "malformed line"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id,pin_id,timestamp\n", "no usable engagement among its 0 rows"),
        ("user_id,pin_id,timestamp\na,b,x\n", "no usable engagement among its 1 rows"),
        ("", "needs a header line"),
        ("user_id,pin_id,pin_id\n", "needs a header line of different names"),
        (
            "user_id,pin_id,when\na,b,1\n",
            "has no column timestamp; there are user_id, pin_id, when",
        ),
    ],
)
def test_a_log_that_holds_nothing_usable_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        import_events(tables(tmp_path, text), tmp_path / "out")


def test_missing_files_folders_and_other_formats_are_refused(tmp_path: Path) -> None:
    def refused(match: str, **settings: Any) -> None:
        with pytest.raises(ValueError, match=match):
            import_events(EventsConfig(input=Tables(**settings)), tmp_path / "out")

    refused("no.parquet names no file", format="parquet", engagements=f"{tmp_path}/no.parquet")
    refused("is a folder: name its files", format="parquet", engagements=str(tmp_path))
    text = write_csv(tmp_path / "log.csv", "user_id,pin_id,timestamp\na,b,1\n")
    refused("cannot be read as parquet", format="parquet", engagements=text)
    other = write_csv(tmp_path / "logs.csv", "pin_id,user_id,timestamp\nb,a,1\n")
    refused(f"{other} has the columns", format="csv", engagements=f"{tmp_path}/log*.csv")


def test_columns_are_mapped_and_names_checked(tmp_path: Path) -> None:
    text = "who,item,when,pin_id\na,b,100,not this\n"
    mapping = {"user_id": "who", "pin_id": "item", "timestamp": "when"}
    import_events(tables(tmp_path, text, engagement_columns=mapping), tmp_path / "out")
    (engagement,) = read(tmp_path / "out", "engagements")
    assert (engagement["user_id"], engagement["pin_id"]) == ("a", "b")
    wrong = mapping | {"timestamp": "then"}
    with pytest.raises(ValueError, match="no column then for timestamp; there are who, item"):
        import_events(tables(tmp_path, text, engagement_columns=wrong), tmp_path / "out")
    with pytest.raises(ValueError, match=r"maps \['usr_id'\], which are no columns"):
        tables(tmp_path, text, engagement_columns={"usr_id": "who"})


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("seconds", f"{NOON}"),
        ("seconds", f"{NOON}.9"),
        ("milliseconds", f"{NOON}999"),
        ("microseconds", f"{NOON}999999"),
        ("text", "2023-11-14T22:13:20Z"),
        ("text", "2023-11-14 22:13:20.9"),
        ("text", "2023-11-15T00:13:20+02:00"),
    ],
)
def test_units_of_time(tmp_path: Path, unit: str, text: str) -> None:
    config = tables(tmp_path, f"user_id,pin_id,timestamp\na,b,{text}\n", timestamp=unit)
    import_events(config, tmp_path / "out")
    assert read(tmp_path / "out", "engagements")[0]["timestamp"] == NOON


@pytest.mark.parametrize(
    "column",
    [
        pa.array([NOON * 1000 + 999], pa.timestamp("ms")),
        pa.array([NOON * 10**6], pa.timestamp("us", "Europe/Berlin")),
        pa.array([NOON * 10**9], pa.timestamp("ns")),
        pa.array([datetime.fromtimestamp(NOON, timezone(timedelta(hours=5)))]),
        pa.array([datetime.fromtimestamp(NOON, UTC)]),
        pa.array([float(NOON)]),
        pa.array([NOON], pa.int32()),
    ],
)
def test_typed_times_need_no_setting(
    tmp_path: Path, column: pa.Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    log = {"user_id": ["a"], "pin_id": ["b"], "timestamp": column}
    path = write_parquet(tmp_path / "log.parquet", log)
    import_events(EventsConfig(input=Tables(format="parquet", engagements=path)), tmp_path / "out")
    assert read(tmp_path / "out", "engagements")[0]["timestamp"] == NOON


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e300", "soon", "2023-11-14"])
def test_what_is_no_number_of_seconds(tmp_path: Path, text: str) -> None:
    log = f"user_id,pin_id,timestamp\na,b,{text}\na,b,5\n"
    manifest = import_events(tables(tmp_path, log), tmp_path / "out")
    assert manifest.details["num_rejected"] == {"unparseable timestamp": 1}


def test_ids_stay_strings(tmp_path: Path) -> None:
    ids = ["007", "7", "7.0", "1e3", " x", "true", "ж", "NULL", "#5", "-"]
    text = "user_id,pin_id,timestamp\n" + "".join(f"{i},{i},{n}\n" for n, i in enumerate(ids, 1))
    import_events(tables(tmp_path, text, share=0.0), tmp_path / "out")
    assert [e["user_id"] for e in read(tmp_path / "out", "engagements")] == ids
    integers = {"user_id": [7], "pin_id": pa.array([2**63], pa.uint64()), "timestamp": [5]}
    path = write_parquet(tmp_path / "log.parquet", integers)
    import_events(EventsConfig(input=Tables(format="parquet", engagements=path)), tmp_path / "p")
    (engagement,) = read(tmp_path / "p", "engagements")
    assert (engagement["user_id"], engagement["pin_id"]) == ("7", str(2**63))


def test_pins_and_users_of_the_engagements_are_added(tmp_path: Path) -> None:
    pins = write_csv(
        tmp_path / "pins.csv",
        "pin_id,interests,title,price,tags,image_signature\n"
        '1,a | b||,"One, two",3.5,x;y,s1\n'
        "9,,,,,\n",
    )
    config = tables(
        tmp_path,
        "user_id,pin_id,timestamp\nu,1,5\nu,2,6\n",
        pins=pins,
        list_columns=("tags",),
        list_separator="|",
    )
    manifest = import_events(config, tmp_path / "out")
    nothing = {"created_at": None, "price": None, "tags": None}
    assert read(tmp_path / "out", "pins") == [
        {
            "pin_id": "1",
            "image_signature": "s1",
            "created_at": None,
            "interests": ["a", "b"],
            "title": "One, two",
            "price": "3.5",
            "tags": ["x;y"],
        },
        nothing | {"pin_id": "2", "image_signature": "2", "interests": [], "title": "2"},
        nothing | {"pin_id": "9", "image_signature": "9", "interests": [], "title": "9"},
    ]
    assert read(tmp_path / "out", "users") == [
        {"user_id": "u", "followed_interests": [], "inferred_interests": []}
    ]
    assert manifest.details["num_pins_without_data"] == 1
    with pytest.raises(ValueError, match="list_columns names tag, which neither"):
        import_events(
            tables(tmp_path, "user_id,pin_id,timestamp\n", pins=pins, list_columns=("tag",)),
            tmp_path / "again",
        )


def test_feature_columns_of_any_type_are_kept(tmp_path: Path) -> None:
    engagements = write_parquet(
        tmp_path / "log.parquet", {"user_id": ["u"], "pin_id": ["1"], "timestamp": [5]}
    )
    columns = {
        "pin_id": [1],
        "interests": [["a", None, ""]],
        "vector": pa.array([[0.5, 1.5]], pa.list_(pa.float32())),
        "price": [2.5],
        "is_new": [True],
    }
    pins = write_parquet(tmp_path / "pins.parquet", columns)
    config = EventsConfig(input=Tables(format="parquet", engagements=engagements, pins=pins))
    import_events(config, tmp_path / "out")
    (pin,) = read(tmp_path / "out", "pins")
    assert pin["interests"] == ["a"]
    assert (pin["vector"], pin["price"], pin["is_new"]) == ([0.5, 1.5], 2.5, True)


PINS = "pin_id,image_signature{}\n1,i1{}\n2,i2{}\n3,i2{}\n4,{}\n"


@pytest.mark.parametrize(
    ("pins", "signatures", "expected"),
    [
        (PINS.format(*[""] * 5), None, {"i1": "i1", "i2": "i2", "4": "4"}),
        (
            PINS.format(",canonical_signature", ",c", ",c", ",", ","),
            None,
            {"i1": "c", "i2": "c", "4": "4"},
        ),
        (
            PINS.format(*[""] * 5),
            "image_signature,canonical_signature\ni1,c\ni2,c\ni1,d\n",
            {"i1": "c", "i2": "c"},
        ),
    ],
)
def test_signatures(
    tmp_path: Path, pins: str, signatures: str | None, expected: dict[str, str]
) -> None:
    settings = {"pins": write_csv(tmp_path / "pins.csv", pins)}
    if signatures:
        settings["signatures"] = write_csv(tmp_path / "signatures.csv", signatures)
    log = "user_id,pin_id,timestamp\nu,1,5\n"
    import_events(tables(tmp_path, log, **settings), tmp_path / "out")
    found = read(tmp_path / "out", "signatures")
    assert {row["image_signature"]: row["canonical_signature"] for row in found} == expected
    assert len(found) == len(expected)


def many_files(tmp_path: Path, texts: Sequence[str]) -> None:
    for place, text in enumerate(texts):
        write_csv(tmp_path / f"part-{place}.csv", text)


def test_files_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    header = "user_id,pin_id,timestamp\n"
    many_files(tmp_path, [header + "a,1,9\nb,,8\n", header, header + "c,,7\nd,4,6\n"])
    log = Tables(format="csv", engagements=f"{tmp_path}/part-*.csv")
    import_events(EventsConfig(input=log, max_reject_share=0.5), tmp_path / "out")
    found = [(e["event_id"], e["user_id"]) for e in read(tmp_path / "out", "engagements")]
    assert found == [(3, "d"), (0, "a")]
    rows = [(Path(row["file"]).name, row["row"]) for row in rejects(tmp_path / "out")]
    assert rows == [("part-0.csv", "2"), ("part-2.csv", "1")]


def test_parquet_parts_may_lack_columns(tmp_path: Path) -> None:
    base = {"user_id": ["a", "b"], "pin_id": ["1", None], "timestamp": [5, 5]}
    write_parquet(tmp_path / "part-0.parquet", base)
    write_parquet(tmp_path / "part-1.parquet", base | {"surface": ["search", None]})
    log = Tables(format="parquet", engagements=f"{tmp_path}/part-*.parquet")
    with pytest.raises(ValueError, match="part-1.parquet row 2, column pin_id: missing pin_id"):
        import_events(EventsConfig(input=log), tmp_path / "out")
    manifest = import_events(EventsConfig(input=log, max_reject_share=1), tmp_path / "out")
    # The second file's first row repeats the first one's.
    assert manifest.details["num_rejected"] == {"missing pin_id": 2, "duplicate": 1}


def test_other_file_systems(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    memory.pipe("/homefeed_test/log.csv", b"user_id,pin_id,timestamp\na,1,5\n")
    log = Tables(format="csv", engagements="memory://homefeed_test/*.csv")
    for _ in range(2):
        import_events(EventsConfig(input=log), tmp_path / "out")
    assert len(read(tmp_path / "out", "engagements")) == 1


def test_the_fingerprint_follows_the_files(tmp_path: Path) -> None:
    config = tables(tmp_path, "user_id,pin_id,timestamp\na,1,5\n")
    first = source_fingerprint(config)
    assert source_fingerprint(config) == first
    status = (tmp_path / "log.csv").stat()
    os.utime(tmp_path / "log.csv", ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    second = source_fingerprint(config)
    tables(tmp_path, "user_id,pin_id,timestamp\na,1,55\n")
    os.utime(tmp_path / "log.csv", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert len({first, second, source_fingerprint(config)}) == 3


def test_equal_logs_give_equal_artifacts(
    tiny_log: EventsConfig, tiny_events: Path, tmp_path: Path
) -> None:
    manifest = import_events(tiny_log, tmp_path / "again")
    assert manifest.fingerprint == read_manifest(tiny_events, "events").fingerprint
