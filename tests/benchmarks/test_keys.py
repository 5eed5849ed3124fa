"""Keys change with what a number depends on, and with nothing else."""

from pathlib import Path

import pytest

import benchmarks.keys as keys
from homefeed.dataset.config import DatasetConfig


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that keys are taken of."""
    monkeypatch.setattr(keys, "ROOT", tmp_path)
    keys._code_hash.cache_clear()
    return tmp_path / "module.py"


def key_with(code: Path, text: str) -> str:
    code.write_text(text)
    keys._code_hash.cache_clear()
    return keys.key_of(1, code=("module",))


def test_what_code_says_of_itself_does_not_count(code: Path) -> None:
    plain = key_with(code, 'class A:\n    """Is A."""\n    b: int = 1\n    """Is b."""\n')
    assert key_with(code, "# A comment.\nclass A:\n    b: int = 1  # is one\n") == plain
    assert key_with(code, "class A:\n    b: int = 2\n") != plain


def test_facts_count() -> None:
    facts = [DatasetConfig(), DatasetConfig(train_share=0.7), DatasetConfig(split="random"), 1]
    assert len({keys.key_of(fact, code=()) for fact in facts}) == 4
    assert keys.key_of(DatasetConfig(), code=()) == keys.key_of(facts[0], code=())


def test_a_folder_counts_as_a_whole(code: Path) -> None:
    folder = code.parent / "package"
    folder.mkdir()
    found = set()
    for text in ("a = 1", "a = 2"):
        (folder / "inner.py").write_text(text)
        keys._code_hash.cache_clear()
        found.add(keys.key_of(code=("package",)))
    assert len(found) == 2
