from typing import Any

import msgspec
import pytest

from homefeed.config import Config, from_yaml
from homefeed.stage import PEAK_MEMORY_BYTES, SECONDS, stage


class Nothing(Config, frozen=True):
    """A section without fields."""


def test_a_stage_notes_what_it_took(capfd: pytest.CaptureFixture[str]) -> None:
    metadata: dict[str, Any] = {"version": "1"}
    with stage("rest", metadata):
        held = bytearray(64 << 20)
        print("half way")
    assert len(held) <= metadata[PEAK_MEMORY_BYTES] < 1 << 40
    assert metadata[SECONDS] >= 0
    assert metadata["version"] == "1"
    output = capfd.readouterr()
    assert output.out == ""
    begun, said, ended = output.err.splitlines()
    assert (begun, said) == ("rest ...", "half way")
    assert ended.startswith("rest: ")


def test_what_the_library_refuses_is_shown_without_its_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    metadata: dict[str, Any] = {}
    with pytest.raises(SystemExit) as end, stage("read", metadata):
        from_yaml("shape: round", Nothing, "recipe.yaml")
    assert end.value.code == 1
    output = capfd.readouterr()
    assert output.out == "read failed: recipe.yaml: Object contains unknown field `shape`\n"
    assert "Traceback" not in output.err
    assert metadata == {}


def test_what_the_library_did_not_expect_is_shown_with_its_traceback(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as end, stage("read"):
        msgspec.json.decode(b"{")
    assert end.value.code == 1
    output = capfd.readouterr()
    assert output.out == "read failed: DecodeError: Input data was truncated\n"
    assert "Traceback" in output.err
