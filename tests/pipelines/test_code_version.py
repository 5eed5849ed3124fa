from pathlib import Path

import pytest

from pipelines.code_version import code_version, hash_sources


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name in ("train.py", "towers/model.py", "report.html.j2"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("1")
    return tmp_path


def test_it_is_the_same_for_the_same_code() -> None:
    assert code_version() == code_version()


@pytest.mark.parametrize("name", ["train.py", "towers/model.py", "report.html.j2", "new.py"])
def test_it_changes_with_what_a_step_may_run(package: Path, name: str) -> None:
    before = hash_sources(package)
    (package / name).write_text("2")
    assert hash_sources(package) != before


def test_it_changes_with_a_name(package: Path) -> None:
    before = hash_sources(package)
    (package / "train.py").rename(package / "learn.py")
    assert hash_sources(package) != before


@pytest.mark.parametrize(
    "name", ["__pycache__/train.pyc", "recipes/mine.yaml", "id_recipes/mine.yaml", "cli/demo.py"]
)
def test_it_stays_with_what_no_step_runs(package: Path, name: str) -> None:
    before = hash_sources(package)
    (package / name).parent.mkdir()
    (package / name).write_text("2")
    assert hash_sources(package) == before
