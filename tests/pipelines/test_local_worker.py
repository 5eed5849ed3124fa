from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from homefeed.contracts import Manifest, write_manifest
from pipelines.local_worker import StepRunner, WholeCache, train_and_release


@pytest.fixture
def index(tmp_path: Path) -> dsl.Artifact:
    """An artifact where KFP puts that of a step."""
    folder = tmp_path / "runs" / "monday" / "build-index" / "index"
    folder.mkdir(parents=True)
    (folder / "vectors").write_text("1 2 3")
    write_manifest(folder, Manifest(kind="index"))
    return dsl.Artifact("index", str(folder), {"seconds": 1.5})


def test_a_whole_artifact_is_given_out_and_noted(tmp_path: Path, index: dsl.Artifact) -> None:
    root = str(tmp_path / "cache")
    writer, reader = WholeCache(root), WholeCache(root)
    writer.put("key", {"index": index, "Output": ["1/1"]})
    outputs = reader.get("key")
    assert outputs is not None
    assert outputs["Output"] == ["1/1"]
    assert (outputs["index"].uri, outputs["index"].metadata) == (index.uri, {"seconds": 1.5})
    assert reader.get("other") is None
    for cache, reused in ((writer, False), (reader, True)):
        (step,) = cache.steps
        assert (step.stage, step.key, step.reused) == ("build_index", "key", reused)
        assert step.artifacts["index"].path == index.uri


def test_a_damaged_artifact_is_not_given_out(
    tmp_path: Path, index: dsl.Artifact, capfd: pytest.CaptureFixture[str]
) -> None:
    cache = WholeCache(str(tmp_path / "cache"))
    cache.put("key", {"index": index})
    (Path(index.uri) / "vectors").write_text("1 2 4")
    assert cache.get("key") is None
    assert [step.reused for step in cache.steps] == [False]
    said = capfd.readouterr().err
    assert said == f"build_index: {index.uri} is damaged and is made again\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "echo loading; echo 'train failed: no pin\nof two'; exit 1",
            "train failed: no pin\nof two",
        ),
        ("echo 'embed failed: of another'; exit 3", "train ended with exit code 3; see log.txt"),
        ("kill -9 $$", "train was killed, as Linux does when memory runs out"),
    ],
)
def test_a_step_that_fails_is_explained_and_the_last(script: str, said: str) -> None:
    run = StepRunner(Path("log.txt"))
    # KFP's own form: a shell around the process that does the work.
    step = ["sh", "-c", 'sh -c "$0"', script, "--function_to_execute", "train"]
    for _ in range(2):
        with pytest.raises(RuntimeError) as error:
            run(step)
        assert str(error.value) == said
        step = ["sh", "-c", "exit 0", "", "--function_to_execute", "embed"]
    assert run.failure == said


def test_a_run_of_this_machine_looks_into_no_store_and_publishes_nothing() -> None:
    pipeline: Any = train_and_release
    steps = set(pipeline.pipeline_spec.root.dag.tasks)
    assert "train-towers" in steps
    assert not steps & {"check-store", "publish-release", "report-run"}


def test_a_step_that_ends_well_shows_its_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    run = StepRunner(Path("log.txt"))
    step = ["sh", "-c", 'echo "half way" >&2; echo $COLOUR; exit 0']
    assert run(step, {"COLOUR": "green"}) == 0
    output = capfd.readouterr()
    assert (output.out, output.err) == ("green\n", "half way\n")
    assert run.failure is None
