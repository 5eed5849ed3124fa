import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from homefeed.contracts import MANIFEST_FILE, new_version, read_manifest, write_manifest
from homefeed.index.build import build_index
from homefeed.index.config import IndexConfig
from homefeed.release.build import build_release
from homefeed.release.bundle import Popular, Release
from homefeed.release.write_users import write_user_snapshot
from tests.index.artifacts import (
    write_corpus,
    write_dataset,
    write_embeddings,
    write_exported,
)

Parts = dict[str, Any]
INTERESTS = [["a"], ["b", "a"], [], ["b"]]


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    corpus = write_corpus(tmp_path / "corpus", INTERESTS)
    embeddings = write_embeddings(tmp_path / "embeddings", np.eye(4))
    build_index(corpus, [embeddings], IndexConfig(), tmp_path / "index")
    dataset = write_dataset(tmp_path / "dataset", [{"user_id": "u", "age": "18"}], [])
    write_user_snapshot(dataset, tmp_path / "users")
    model = tmp_path / "models" / "homefeed"
    model.mkdir(parents=True)
    (model / "handler.py").write_text("# loaded by TorchServe\n")
    return {
        "exported": write_exported(tmp_path / "exported", 4),
        "corpus": corpus,
        "index": tmp_path / "index",
        "users": tmp_path / "users",
        "model_store": tmp_path / "models",
    }


@pytest.fixture
def release(tmp_path: Path, parts: Parts) -> Path:
    build_release(**parts, output=tmp_path / "release")
    return tmp_path / "release"


def test_a_release_holds_all_that_serving_needs(release: Path, parts: Parts) -> None:
    opened = Release.open(release)
    assert opened.embedding_space == "space-a"
    for name in ("user_tower.pt", "pin_tower.pt", "features.json"):
        assert (release / name).read_bytes() == (parts["exported"] / name).read_bytes()
    assert read_manifest(opened.index, "index") == read_manifest(parts["index"], "index")
    assert read_manifest(opened.users, "users") == read_manifest(parts["users"], "users")
    assert (opened.model_store / "homefeed" / "handler.py").is_file()
    assert opened.popular() == Popular(
        ("p0", "p1", "p2", "p3"), {"a": ("p0", "p1"), "b": ("p1", "p3")}
    )
    on_disk = {p.relative_to(release).as_posix() for p in release.rglob("*") if p.is_file()}
    assert set(opened.manifest.files) == on_disk - {MANIFEST_FILE}
    assert opened.manifest.metrics == {"index_recall@100": 1.0, "num_pins": 4, "num_users": 1}


def test_a_release_says_whether_its_tower_knows_conditions(
    tmp_path: Path, parts: Parts, release: Path
) -> None:
    # Exports, and releases, of a time that knew none do not say it.
    assert not Release.open(release).is_conditional
    path = release / MANIFEST_FILE
    manifest = json.loads(path.read_bytes())
    del manifest["conditional"]
    path.write_text(json.dumps(manifest))
    assert not Release.open(release).is_conditional

    towers = read_manifest(parts["exported"], "exported_towers")
    details = towers.details | {"conditional": True}
    write_manifest(parts["exported"], msgspec.structs.replace(towers, details=details))
    assert build_release(**parts, output=tmp_path / "other").conditional
    assert Release.open(tmp_path / "other").is_conditional


def test_versions_sort_by_time_and_tell_contents_apart() -> None:
    hours = [new_version(1_795_000_000 + 3600 * hour, "ff" * 8) for hour in range(48)]
    assert hours == sorted(hours)
    assert new_version(0, "ab" * 8) == "19700101T000000Z-abababab"


def test_every_file_is_verified(release: Path) -> None:
    for name in Release.open(release).manifest.files:
        path = release / name
        good = path.read_bytes()
        path.write_bytes(good + b"x")
        with pytest.raises(ValueError, match=f"{name} of release .* has sha256"):
            Release.open(release)
        path.unlink()
        with pytest.raises(ValueError, match=f"lacks .*{name}: fetch it again"):
            Release.open(release)
        path.write_bytes(good)
    Release.open(release)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "index/../../secret"])
def test_paths_out_of_the_folder_are_refused(release: Path, name: str) -> None:
    edit_manifest(release, lambda manifest: manifest["files"].update({name: "0" * 64}))
    with pytest.raises(ValueError, match="leads out of the release"):
        Release.open(release)


def test_another_schema_or_kind_is_refused(release: Path) -> None:
    edit_manifest(release, lambda manifest: manifest.update(schema_version=99))
    with pytest.raises(ValueError, match="schema version 99"):
        Release.open(release)
    with pytest.raises(ValueError, match="'index' artifact; 'release' is needed"):
        Release.open(release / "index")


def test_a_version_that_is_none_is_refused(release: Path) -> None:
    edit_manifest(release, lambda manifest: manifest.update(version="../1"))
    with pytest.raises(ValueError, match=r"version '\.\./1' is none"):
        Release.open(release)


def edit_manifest(folder: Path, change: Callable[[dict], None]) -> None:
    path = folder / MANIFEST_FILE
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_a_release_is_written_once(release: Path, parts: Parts) -> None:
    with pytest.raises(ValueError, match="holds files already"):
        build_release(**parts, output=release)


@pytest.mark.parametrize(
    ("space", "dimension", "message"),
    [
        ("space-b", 4, r"towers .* embedding_space 'space-b' but the index .* has 'space-a'"),
        ("space-a", 8, r"towers .* dimension 8 but the index .* has 4"),
    ],
)
def test_towers_and_index_must_share_a_space(
    tmp_path: Path, parts: Parts, space: str, dimension: int, message: str
) -> None:
    parts["exported"] = write_exported(tmp_path / "other", dimension, space)
    with pytest.raises(ValueError, match=message):
        build_release(**parts, output=tmp_path / "release")


def test_the_index_must_be_of_the_corpus(tmp_path: Path, parts: Parts) -> None:
    parts["corpus"] = write_corpus(tmp_path / "other", [["z"]])
    with pytest.raises(ValueError, match="index was built from the corpus .*other is"):
        build_release(**parts, output=tmp_path / "release")


def test_the_snapshot_must_hold_what_the_towers_take(tmp_path: Path, parts: Parts) -> None:
    parts["exported"] = write_exported(tmp_path / "other", 4, user_features=("age", "zip"))
    with pytest.raises(ValueError, match=r"user features \['zip'\].*it has \['age'\]"):
        build_release(**parts, output=tmp_path / "release")


def test_a_copied_release_is_the_same_release(tmp_path: Path, release: Path) -> None:
    shutil.copytree(release, tmp_path / "copy")
    assert Release.open(tmp_path / "copy").manifest == Release.open(release).manifest
