from pathlib import Path

import pytest

from homefeed.evaluation.config import EvaluationConfig
from homefeed.evaluation.evaluate import evaluate_release
from homefeed.evaluation.layout import Evaluation, read_evaluation
from tests.evaluation.known_release import KnownRelease, build_known_release


@pytest.fixture(scope="session")
def known_release(tiny_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> KnownRelease:
    return build_known_release(tiny_dataset, tmp_path_factory.mktemp("known_release"))


@pytest.fixture(scope="session")
def evaluation_folder(
    known_release: KnownRelease, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An evaluation of the known release; not to be written to."""
    output = tmp_path_factory.mktemp("evaluated") / "evaluation"
    config = EvaluationConfig(cutoffs=(5, 20))
    release, dataset, towers = known_release[:3]
    evaluate_release(release, dataset, towers, config, seed=1, output=output)
    return output


@pytest.fixture(scope="session")
def evaluation(evaluation_folder: Path) -> Evaluation:
    return read_evaluation(evaluation_folder)
