import json
from pathlib import Path

import pytest

from homefeed.contracts import MANIFEST_FILE, Manifest, write_manifest
from pipelines.work_folder import KEPT_RUNS, WorkFolder, is_whole


@pytest.fixture
def work(tmp_path: Path) -> WorkFolder:
    folder = WorkFolder(tmp_path)
    folder.cache.mkdir()
    return folder


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "part").mkdir(parents=True)
    (folder / "part" / "rows").write_text("1 2 3")
    write_manifest(folder, Manifest(kind="rows"))
    return folder


def add_step(work: WorkFolder, key: str, run: str) -> Path:
    """A step's artifact and its entry in the cache, in KFP's format."""
    artifact = work.runs / run / key / "rows"
    artifact.mkdir(parents=True)
    (artifact / "1").touch()
    entry = {"rows": {"uri": str(artifact), "metadata": {}}, "Output": ["1/1"]}
    (work.cache / f"{key}.json").write_text(json.dumps(entry))
    return artifact


def test_an_untouched_artifact_is_whole(artifact: Path) -> None:
    assert is_whole(artifact)
    (artifact / "lock").touch()  # what a reader leaves beside the files
    assert is_whole(artifact)


@pytest.mark.parametrize("name", ["part/rows", MANIFEST_FILE])
def test_an_artifact_that_lost_a_file_is_not_whole(artifact: Path, name: str) -> None:
    (artifact / name).unlink()
    assert not is_whole(artifact)


@pytest.mark.parametrize("name", ["part/rows", MANIFEST_FILE])
def test_an_artifact_with_a_changed_file_is_not_whole(artifact: Path, name: str) -> None:
    (artifact / name).write_text("1 2 4")
    assert not is_whole(artifact)


def test_an_artifact_of_one_file_is_whole_when_it_is_there(tmp_path: Path) -> None:
    assert not is_whole(tmp_path / "report")
    (tmp_path / "report").touch()
    assert is_whole(tmp_path / "report")


def test_what_no_entry_holds_is_swept(work: WorkFolder) -> None:
    kept = add_step(work, "a", "monday")
    inner = add_step(work, "b", "monday/loop-1")
    lost = [add_step(work, "c", "monday"), add_step(work, "d", "tuesday")]
    for key in ("c", "d"):
        (work.cache / f"{key}.json").unlink()
    work.sweep()
    assert (kept / "1").exists()
    assert (inner / "1").exists()
    assert not any(each.parent.exists() for each in lost)
    assert [run.name for run in work.runs.iterdir()] == ["monday"]


def test_what_recent_runs_used_is_kept(work: WorkFolder) -> None:
    artifacts = {}
    for run in range(KEPT_RUNS + 2):
        artifacts[run] = add_step(work, str(run), f"run {run}")
        (work.checkpoints / f"code {run}").mkdir(parents=True)
        work.keep([str(run), "0"])
    assert [run for run, artifact in artifacts.items() if artifact.exists()] == [0, 2, 3, 4]
    assert not work.checkpoints.exists()


def test_a_second_run_in_the_folder_is_refused(work: WorkFolder) -> None:
    with work.locked():
        with pytest.raises(RuntimeError, match=f"another run is at work in {work.root}"):
            with WorkFolder(work.root).locked():
                pass
    with work.locked():
        pass
