from pathlib import Path

import pytest

from homefeed.engine import ENGINE_VARIABLE, open_engine
from homefeed.engine.duckdb_engine import MEMORY_VARIABLE, DuckDbEngine


def test_memory_has_a_limit_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    monkeypatch.setenv(MEMORY_VARIABLE, "1GiB")
    with open_engine(tmp_path / "output") as engine:
        assert isinstance(engine, DuckDbEngine)
        said = engine.text_reader.raw_sql("SELECT current_setting('memory_limit')").fetchall()
    assert said == [("1.0 GiB",)]


def test_what_is_no_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ENGINE_VARIABLE, raising=False)
    monkeypatch.setenv(MEMORY_VARIABLE, "lots")
    with (
        pytest.raises(ValueError, match="HOMEFEED_MEMORY=lots is no size, as 3GB is"),
        open_engine(tmp_path / "output"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_an_engine_that_is_not_there_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_VARIABLE, "duckbd")
    with (
        pytest.raises(ValueError, match="HOMEFEED_ENGINE=duckbd is no engine: it is duckdb"),
        open_engine(tmp_path / "output"),
    ):
        pass
