import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from homefeed.corpus.config import CorpusConfig
from homefeed.data_checks.config import ChecksConfig
from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.layout import MODEL, REPORT_FILE, read_evaluation
from homefeed.events.config import EventsConfig
from homefeed.release.bundle import Release
from pipelines.local import LocalRun, run_locally
from tests.pipelines.tiny_recipe import write_recipe

pytestmark = pytest.mark.slow

STAGES = (
    "import_events",
    "build_dataset",
    "check_data",
    "train_towers",
    "export_towers",
    "select_corpus",
    "embed_pins",
    "embed_users",
    "build_index",
    "bundle_release",
    "check_online_skew",
    "evaluate_release",
)
PINS_PER_SHARD = 30

Run = Callable[..., LocalRun]


@pytest.fixture(scope="module")
def run(tiny_log: EventsConfig, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs the small recipe, with some of its sections replaced, always in the same folder."""
    folder = tmp_path_factory.mktemp("local")

    def run_with(store: str = "", **sections: Any) -> LocalRun:
        recipe = write_recipe(folder / "tiny.yaml", tiny_log, **sections)
        return run_locally(recipe, folder / "work", PINS_PER_SHARD, store)

    return run_with


@pytest.fixture(scope="module")
def first(run: Run) -> LocalRun:
    return run()


def made(run: LocalRun) -> list[str]:
    """The stages that ran."""
    return [stage.name for stage in run.stages if not stage.reused]


def test_a_run_leads_from_a_log_to_a_measured_release(first: LocalRun) -> None:
    assert sorted(made(first)) == sorted(STAGES)
    for stage in first.stages:
        assert stage.seconds > 0
        assert stage.peak_memory_bytes > 10 << 20
    release = Release.open(first.release)
    evaluation = read_evaluation(first.evaluation)
    assert evaluation.release_version == release.version
    assert evaluation.embedding_space == release.embedding_space
    assert 0 < evaluation.recommenders[MODEL]["recall@10"] <= 1
    assert evaluation.catalogue.num_corpus_pins > PINS_PER_SHARD
    assert "<html" in (first.evaluation / REPORT_FILE).read_text()


def test_a_second_run_reuses_everything_and_says_so(
    run: Run, first: LocalRun, capfd: pytest.CaptureFixture[str]
) -> None:
    second = run()
    assert made(second) == []
    assert second.release == first.release
    assert {stage.name: stage.seconds for stage in second.stages} == {
        stage.name: stage.seconds for stage in first.stages
    }
    output = capfd.readouterr()
    assert output.out == ""
    said = output.err.splitlines()
    # What they look at is no input: the source's state, and what a store holds by now. A gate is
    # asked in every run.
    looked = {line.removesuffix(" ...") for line in said if line.endswith(" ...")}
    assert looked == {"read_recipe", "look_at_production", "choose_ids", "check_not_worse"}
    reused = {line.removesuffix(": reused") for line in said if line.endswith(": reused")}
    assert reused == set(STAGES)


def test_a_changed_section_runs_again_what_depends_on_it(run: Run, first: LocalRun) -> None:
    changed = run(evaluation=EvaluationConfig(cutoffs=(5, 10)))
    assert made(changed) == ["evaluate_release"]
    assert changed.release == first.release
    assert read_evaluation(changed.evaluation).cutoffs == (5, 10)
    assert made(run()) == []


def test_a_store_is_no_matter_of_a_recipe_without_id_embeddings(
    run: Run, first: LocalRun, tmp_path: Path
) -> None:
    assert made(run(store=str(tmp_path / "store"))) == []


def test_unfit_data_are_refused_before_anything_is_trained(run: Run, first: LocalRun) -> None:
    with pytest.raises(RuntimeError) as failure:
        run(checks=ChecksConfig(min_users=41))
    said = str(failure.value)
    assert said.startswith("check_data failed: the data are not fit to train on")
    assert "size: users: there are 40; checks.min_users=41. " in said
    assert made(run()) == []


def test_a_deleted_artifact_is_made_again(run: Run, first: LocalRun) -> None:
    shutil.rmtree(run().evaluation)
    again = run()
    assert made(again) == ["evaluate_release"]
    assert (again.evaluation / REPORT_FILE).is_file()


def test_a_failed_stage_says_why(
    run: Run, first: LocalRun, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError) as failure:
        run(corpus=CorpusConfig(min_engagements=1e9))
    said = str(failure.value)
    assert said.startswith("select_corpus failed: no pin of ")
    assert "corpus.min_engagements=1e+09" in said
    output = capfd.readouterr()
    assert "Traceback" not in output.err
    assert "select_corpus failed" not in output.err
    assert made(run()) == []


def test_a_bad_recipe_is_refused_by_its_path_before_anything_starts(
    tiny_log: EventsConfig, tmp_path: Path
) -> None:
    recipe = Path(write_recipe(tmp_path / "tiny.yaml", tiny_log))
    text = msgspec.yaml.decode(recipe.read_bytes())
    text["training"]["epochs"] = 3
    recipe.write_bytes(msgspec.yaml.encode(text))
    with pytest.raises(ValueError, match=rf"{recipe}: .*unknown field `epochs`.*training"):
        run_locally(str(recipe), tmp_path / "work")
    assert not (tmp_path / "work").exists()
