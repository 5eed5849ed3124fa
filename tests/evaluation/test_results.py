import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.evaluation import provenance
from homefeed.evaluation.layout import Evaluation
from homefeed.evaluation.markdown import fill_parts
from homefeed.evaluation.results import (
    Record,
    evaluation_records,
    main,
    make_table,
    read_results,
    write_results,
)

DOCUMENT = """# Title

<!-- results: speed -->
what was here before
<!-- /results -->

Between.

<!-- results: quality -->
<!-- /results -->
The end.
"""


def record(configuration: str, metric: str, value: float, **facts: Any) -> Record:
    ours: dict[str, Any] = {
        "experiment": "speed",
        "command": "make bench",
        "commit": "abc1234",
        "machine": "A CPU, 2 cores, 8 GiB",
    }
    return Record(configuration=configuration, metric=metric, value=value, **ours | facts)


def test_newer_records_replace_older_ones_in_their_place(tmp_path: Path) -> None:
    path = tmp_path / "docs" / "results" / "speed.json"
    write_results(path, [record("a", "p50", 1.0), record("b", "p50", 2.0)])
    write_results(path, [record("c", "p50", 3.0), record("a", "p50", 4.0), record("a", "p99", 5.0)])
    found = [(each.configuration, each.metric, each.value) for each in read_results(path)]
    assert found == [("a", "p50", 4.0), ("b", "p50", 2.0), ("c", "p50", 3.0), ("a", "p99", 5.0)]
    before = path.read_bytes()
    write_results(path, read_results(path))
    assert path.read_bytes() == before


def test_a_record_goes_to_the_file_of_its_experiment(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'speed' does not belong in .*other.json: write it to"):
        write_results(tmp_path / "other.json", [record("a", "p50", 1.0)])
    assert not (tmp_path / "other.json").exists()


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "speed.json").write_text('[{"experiment": "speed"}]')
    with pytest.raises(ValueError, match=r"speed.json: .*missing required field `configuration`"):
        make_table("speed", tmp_path)


def test_a_table_has_a_row_for_each_configuration(tmp_path: Path) -> None:
    records = [
        record("one|two", "p50", 0.00123456, unit="seconds", low=0.001, high=0.0015, n=5),
        record("one|two", "requests", 12345.6),
        record("three", "gain", 1.5, unit="ratio"),
        record("three", "p50", 0.5, unit="seconds", low=0.25, high=0.75, n=5),
    ]
    write_results(tmp_path / "speed.json", records)
    assert make_table("speed", tmp_path) == "\n".join(
        [
            "| configuration | p50 (seconds) | requests | gain (ratio) |",
            "| --- | ---: | ---: | ---: |",
            "| one\\|two | 0.001235 [0.001, 0.0015] | 12,346 | – |",
            "| three | 0.5 [0.25, 0.75] | – | 1.5 |",
            "",
            "- one|two, three: `make bench` at abc1234; A CPU, 2 cores, 8 GiB; "
            "95 % intervals over n = 5.",
            "- one|two, three: `make bench` at abc1234; A CPU, 2 cores, 8 GiB.",
        ]
    )


def test_numbers_that_hardly_compare_have_a_row_each(tmp_path: Path) -> None:
    records = [
        record("a pod deleted", "failed requests", 0.0),
        record("a pod deleted", "recovery", 9.5, unit="seconds"),
        record("sidecar", "memory", 45, unit="MiB"),
        record("one pod", "ready", 7, unit="seconds"),
    ]
    write_results(tmp_path / "road.json", [msgspec.structs.replace(each, experiment="road")
                                           for each in records])  # fmt: skip
    assert make_table("road", tmp_path).splitlines()[:4] == [
        "| configuration | metric | value |",
        "| --- | ---: | ---: |",
        "| a pod deleted | failed requests | 0 |",
        "| a pod deleted | recovery (seconds) | 9.5 |",
    ]


def test_one_way_of_measuring_is_one_line(tmp_path: Path) -> None:
    write_results(tmp_path / "speed.json", [record("a", "p50", 1.0, commit="")])
    assert make_table("speed", tmp_path).endswith("\n\n`make bench`; A CPU, 2 cores, 8 GiB.")


def test_only_what_lies_between_the_markers_is_written(tmp_path: Path) -> None:
    filled = fill_parts(DOCUMENT, "d.md", lambda name: f"the table of {name}")
    assert filled == (
        "# Title\n\n<!-- results: speed -->\n\nthe table of speed\n\n<!-- /results -->\n\n"
        "Between.\n\n<!-- results: quality -->\n\nthe table of quality\n\n<!-- /results -->\n"
        "The end.\n"
    )
    assert fill_parts(filled, "d.md", lambda name: f"the table of {name}") == filled


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\n<!-- results: speed -->\nb\n", 2),
        ("<!-- results: a -->\n<!-- results: b -->\n<!-- /results -->\n", 1),
        ("<!-- results: a -->\n<!-- /results -->\n\n<!-- results: b -->\n", 4),
    ],
)
def test_a_part_without_an_end_is_refused(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=rf"d\.md:{line}: the part <!-- .* has no end"):
        fill_parts(text, "d.md", str)


def test_main_writes_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "README.md").write_text(DOCUMENT)
    main(["README.md"])
    # What was never measured is empty.
    unmeasured = (tmp_path / "README.md").read_text()
    assert "<!-- results: speed -->\n<!-- /results -->" in unmeasured
    capsys.readouterr()
    write_results(Path("docs/results/speed.json"), [record("a", "p50", 1.25)])
    quality = record("model", "recall@10", 0.125, experiment="quality")
    write_results(Path("docs/results/quality.json"), [quality])
    main(["README.md"])
    text = (tmp_path / "README.md").read_text()
    assert "| a | 1.25 |" in text
    assert "| model | 0.125 |" in text
    assert "what was here before" not in text
    assert capsys.readouterr().out == "README.md: tables written again\n"
    main(["README.md"])
    assert (tmp_path / "README.md").read_text() == text
    assert capsys.readouterr().out == ""


def test_the_command_fails_readably(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "homefeed.evaluation.results", "missing.md"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("results: ") and "missing.md" in done.stderr


def test_an_evaluation_becomes_records(evaluation: Evaluation, tmp_path: Path) -> None:
    records = evaluation_records(evaluation, "tiny", "make demo", "abc", "A CPU")
    found = {(each.configuration, each.metric): each.value for each in records}
    assert len(found) == len(records) == 4 * 8
    assert found["ease", "ndcg@20"] == evaluation.recommenders["ease"]["ndcg@20"]
    write_results(tmp_path / "tiny.json", records)
    assert read_results(tmp_path / "tiny.json") == records
    as_written = msgspec.json.decode((tmp_path / "tiny.json").read_bytes())[0]
    assert list(as_written) == [
        "experiment", "configuration", "metric", "value", "low", "high",
        "n", "unit", "command", "commit", "machine",
    ]  # fmt: skip
    assert as_written["low"] is None


def test_the_commit_is_that_of_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = tmp_path / "repository" / "code.py"
    code.parent.mkdir()
    code.write_text("first")
    monkeypatch.setattr(provenance, "__file__", str(code))
    assert provenance.commit.__wrapped__() == ""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=code.parent, check=True)
    head = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=code.parent, capture_output=True, text=True
    ).stdout.strip()
    assert provenance.commit.__wrapped__() == head
    results = code.parent / "docs" / "results.json"
    results.parent.mkdir()
    for path in (results, code.parent / "README.md"):
        path.write_text("measured")
        subprocess.run(["git", "add", path], cwd=code.parent, check=True)
    assert provenance.commit.__wrapped__() == head
    code.write_text("second")
    assert provenance.commit.__wrapped__() == f"{head}-dirty"
    monkeypatch.setenv("PATH", "")
    assert provenance.commit.__wrapped__() == ""


def test_the_machine_is_described() -> None:
    described = provenance.machine()
    assert f"{len(os.sched_getaffinity(0))} cores" in described
    assert "GiB" in described
