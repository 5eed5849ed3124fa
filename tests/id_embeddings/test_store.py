import shutil
from pathlib import Path

import fsspec
import msgspec
import pytest

from homefeed.contracts import Window, read_manifest, write_manifest
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.store import IdEmbeddingStore
from homefeed.id_embeddings.window_rule import choose_table


def moved(folder: Path, to: Path, end: int) -> Path:
    """A copy of ID embeddings whose window ends at another time."""
    shutil.copytree(folder, to)
    manifest = read_manifest(folder, ID_EMBEDDINGS)
    write_manifest(to, msgspec.structs.replace(manifest, window=Window(0, end)))
    return to


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> IdEmbeddingStore:
    if request.param == "local":
        return IdEmbeddingStore(str(tmp_path / "store"))
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    return IdEmbeddingStore("memory://store")


def test_what_is_published_is_listed_chosen_and_fetched(
    store: IdEmbeddingStore, pretrained: Path, tmp_path: Path
) -> None:
    assert store.tables() == []
    early = store.publish(moved(pretrained, tmp_path / "early", end=1_000_000))
    late = store.publish(moved(pretrained, tmp_path / "late", end=2_000_000))
    tables = store.tables()
    assert [table.version for table in tables] == [early, late]
    assert early.startswith("19700112T134640Z-")
    assert choose_table(tables, Window(2_000_000, 3_000_000)).version == late
    chosen = choose_table(tables, Window(1_500_000, 3_000_000))
    manifest = store.fetch(chosen.version, tmp_path / "here" / "ids")
    assert manifest == chosen.manifest == read_manifest(tmp_path / "early", ID_EMBEDDINGS)
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["ids"]


def test_the_same_tables_are_published_once(
    store: IdEmbeddingStore, pretrained: Path, tmp_path: Path
) -> None:
    assert store.publish(pretrained) == store.publish(pretrained)
    assert len(store.tables()) == 1


def test_an_unknown_version_says_what_there_is(
    store: IdEmbeddingStore, pretrained: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="no ID embeddings 'x'; it holds none"):
        store.fetch("x", tmp_path / "here")
    version = store.publish(pretrained)
    with pytest.raises(ValueError, match=f"no ID embeddings 'x'; it holds {version}"):
        store.fetch("x", tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_of_many_versions_the_newest_are_named(
    store: IdEmbeddingStore, pretrained: Path, tmp_path: Path
) -> None:
    published = [
        store.publish(moved(pretrained, tmp_path / str(end), end))
        for end in range(1000, 8000, 1000)
    ]
    with pytest.raises(ValueError) as error:
        store.fetch("x", tmp_path / "here")
    newest_first = published[::-1]
    assert str(error.value).endswith(f"; it holds {', '.join(newest_first[:5])} and 2 more")


def test_broken_tables_are_not_published(pretrained: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(pretrained, tmp_path / "broken")
    (broken / "pins.parquet").write_bytes(b"short")
    store = IdEmbeddingStore(str(tmp_path / "store"))
    with pytest.raises(
        ValueError, match=r"pins\.parquet of the artifact of ID embeddings has sha256"
    ):
        store.publish(broken)
    (broken / "pins.parquet").unlink()
    with pytest.raises(ValueError, match=r"lacks .*pins\.parquet: fetch or train it again"):
        store.publish(broken)
    assert not (tmp_path / "store").exists()


def test_an_interrupted_upload_is_none_and_is_finished(pretrained: Path, tmp_path: Path) -> None:
    store = IdEmbeddingStore(str(tmp_path / "store"))
    version = store.publish(pretrained)
    remote = tmp_path / "store" / "id_embeddings" / version
    (remote / "manifest.json").unlink()
    (remote / "users.parquet").write_bytes(b"half")
    assert store.tables() == []
    assert store.publish(pretrained) == version
    assert store.fetch(version, tmp_path / "here") == read_manifest(pretrained, ID_EMBEDDINGS)


def test_a_manifest_that_leads_out_of_the_folder_is_refused(
    pretrained: Path, tmp_path: Path
) -> None:
    store = IdEmbeddingStore(str(tmp_path / "store"))
    version = store.publish(pretrained)
    path = tmp_path / "store" / "id_embeddings" / version / "manifest.json"
    path.write_text(path.read_text().replace('"users.parquet"', '"../../../users.parquet"'))
    with pytest.raises(ValueError, match=r"'\.\./\.\./\.\./users\.parquet', which leads out of"):
        store.fetch(version, tmp_path / "here" / "ids")
    assert list((tmp_path / "here").iterdir()) == []


def test_what_else_lies_in_the_folder_is_no_version(pretrained: Path, tmp_path: Path) -> None:
    store = IdEmbeddingStore(str(tmp_path / "store"))
    version = store.publish(pretrained)
    (tmp_path / "store" / "id_embeddings" / "notes.txt").write_text("mine")
    assert [table.version for table in store.tables()] == [version]


def test_what_was_damaged_in_the_store_does_not_appear(pretrained: Path, tmp_path: Path) -> None:
    store = IdEmbeddingStore(str(tmp_path / "store"))
    version = store.publish(pretrained)
    (tmp_path / "store" / "id_embeddings" / version / "users.parquet").write_bytes(b"damaged")
    with pytest.raises(
        ValueError, match=r"users\.parquet of the artifact of ID embeddings has sha256"
    ):
        store.fetch(version, tmp_path / "here" / "ids")
    assert list((tmp_path / "here").iterdir()) == []


def test_tables_whose_windows_end_first_are_pruned(
    store: IdEmbeddingStore, pretrained: Path, tmp_path: Path
) -> None:
    first, second, third = (
        store.publish(moved(pretrained, tmp_path / str(end), end)) for end in (1000, 2000, 3000)
    )
    size = sum(path.stat().st_size for path in (tmp_path / "1000").rglob("*") if path.is_file())
    expected = [(first, size, True)]
    assert list(store.prune(keep=2, dry_run=True)) == expected
    assert len(store.tables()) == 3
    assert list(store.prune(keep=2)) == expected
    assert [table.version for table in store.tables()] == [second, third]
    with pytest.raises(ValueError, match="holds no ID embeddings"):
        store.fetch(first, tmp_path / "here")
