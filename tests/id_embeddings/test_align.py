"""Pre-trained tables in the order of an encoder's vocabulary."""

from pathlib import Path

import numpy as np
import pytest

from homefeed.contracts import Window
from homefeed.features.encoder import OUT_OF_VOCABULARY_ROW, PADDING_ROW, Vocabulary
from homefeed.id_embeddings.align import align
from homefeed.id_embeddings.tables import read_pin_table, read_user_table
from tests.id_embeddings.written import write_ids


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ids"


def test_each_id_gets_its_own_vector_of_its_own_table(folder: Path) -> None:
    write_ids(folder, ["a", "b"], ["a", "c"], Window(0, 1))
    vocabulary = Vocabulary(("c", "b", "a"))
    users, pins = read_user_table(folder), read_pin_table(folder)
    zeros = np.zeros(4)
    for table, known in ((users, {"a": 4, "b": 3}), (pins, {"a": 4, "c": 2})):
        aligned = align(table, vocabulary)
        assert (aligned.dtype, aligned.shape) == (np.float32, (len(vocabulary), 4))
        for row in range(len(vocabulary)):
            (found,) = [each for each, own in known.items() if own == row] or [None]
            expected = zeros if found is None else table.vectors[table.ids.index(found) + 1]
            np.testing.assert_array_equal(aligned[row], expected)
        assert not aligned[[PADDING_ROW, OUT_OF_VOCABULARY_ROW]].any()


def test_how_many_have_a_vector_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_ids(folder, ["u"], ["a", "c", "z"], Window(0, 1))
    align(read_pin_table(folder), Vocabulary(("a", "b", "c")))
    said = capsys.readouterr()
    assert said.err == "ID embeddings: 2 of 3 known ids have a vector (66.7%)\n"
    assert said.out == ""


def test_ids_that_share_nothing_are_all_out_of_table(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ids(folder, ["u"], ["z"], Window(0, 1))
    assert not align(read_pin_table(folder), Vocabulary(("a", "b"))).any()
    assert not align(read_pin_table(folder), Vocabulary(())).any()
    assert "0 of 2 known ids have a vector (0.0%)" in capsys.readouterr().err
