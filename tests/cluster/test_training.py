"""The trainer in pods of a TrainJob, as a step of the pipeline starts it; gloo between them.

The data set is ml-100k's. A training in one process of this machine, on the same batches, says what
must come out.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from homefeed.contracts import MANIFEST_FILE
from homefeed.dataset.build import build_dataset
from homefeed.events.importing import import_events
from homefeed.recipe import read_recipe
from homefeed.towers.job import Job
from homefeed.towers.layout import TRAINING_FILE, Epoch, Training, read_training
from homefeed.towers.train import train_towers
from tests.cluster.figures import Figures
from tests.cluster.pods import Node
from tests.cluster.service import Images
from tests.cluster.training_step import RUNTIME, Place, Step, place
from tests.kubectl import needs_cluster

RECIPE = read_recipe("ml-100k")
NUM_EPOCHS = 6
TRAINING = msgspec.structs.replace(
    RECIPE.training,
    batch_size=512,
    max_examples_per_user_day=10,
    max_epochs=NUM_EPOCHS,
    patience=NUM_EPOCHS,
    refit=False,
    checkpoint_seconds=1.0,
)
JOB = Job(towers=RECIPE.towers, training=TRAINING, seed=RECIPE.seed)
SPREAD_JOB = msgspec.structs.replace(
    JOB, training=msgspec.structs.replace(TRAINING, table_optimizer="rowwise_adagrad")
)
"""With tables of which each process holds some rows, and writes them to a checkpoint."""
RARELY_SAVED = msgspec.structs.replace(
    JOB, training=msgspec.structs.replace(TRAINING, checkpoint_seconds=3600.0)
)
"""Within an epoch only where its pods are told to end."""
NO_IMAGE = "localhost/homefeed-no-such-image:1"
START_SECONDS = 15.0
CONFIGURATION = "towers of ml-100k, in two pods of one process"


def train_alone(dataset: Path, job: Job, output: Path) -> tuple[Epoch, ...]:
    """The epochs of a training in one process."""
    train_towers(dataset, job.towers, job.training, job.seed, output)
    return read_training(output).epochs


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset artifact of ml-100k."""
    events, output = (tmp_path_factory.mktemp("ml-100k") / name for name in ("events", "dataset"))
    import_events(RECIPE.events, events)
    build_dataset(events, RECIPE.dataset, RECIPE.features, RECIPE.seed, output)
    return output


@pytest.fixture(scope="module")
def alone(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Epoch, ...]:
    """What `JOB` comes to in one process."""
    return train_alone(dataset, JOB, tmp_path_factory.mktemp("alone") / "towers")


@pytest.fixture(scope="module")
def there(images: Images, pipeline_image: str, node: Node, dataset: Path) -> Iterator[Place]:
    """Where steps may train."""
    with place(images, node) as there:
        there.bring(dataset)
        yield there


def check_curve(there: Place, step: Step, expected: tuple[Epoch, ...]) -> None:
    """The towers that a step has put out were trained as in one process."""
    training = msgspec.json.decode(there.read(step, TRAINING_FILE), type=Training)
    assert len(training.epochs) == len(expected) == NUM_EPOCHS
    for epoch, found in zip(expected, training.epochs, strict=True):
        # Sums of other shares are rounded otherwise, which later epochs make more of.
        tolerance = 2e-4 if epoch.epoch <= 2 else 0.01
        assert found.train_loss == pytest.approx(epoch.train_loss, abs=tolerance)
        assert found.validation == pytest.approx(epoch.validation, abs=0.03)


def kept(line: str) -> tuple[int, int]:
    """How many epochs and batches were not trained again, by what a training that goes on says."""
    found = re.search(r"going on after (\d+) epochs and (\d+) batches", line)
    assert found, line
    return int(found[1]), int(found[2])


def failure(step: Step) -> str:
    """Why a step failed that must fail."""
    code, said = step.end()
    assert code == 1, said
    _, end, why = said.partition("train_towers_on_nodes failed: ")
    assert end, said
    return why


@needs_cluster
def test_two_pods_train_as_one_process_does(
    there: Place, alone: tuple[Epoch, ...], figures: Figures
) -> None:
    start = time.monotonic()
    step = there.start(JOB)
    step.until_worker_says("epoch 1:")
    figures.add(CONFIGURATION, "first batch begins after", time.monotonic() - start, "seconds")
    code, said = step.end()
    assert code == 0, said
    figures.add(CONFIGURATION, "the whole step", time.monotonic() - start, "seconds")
    assert msgspec.json.decode(there.read(step, MANIFEST_FILE))["details"]["num_processes"] == 2
    check_curve(there, step, alone)
    step.until_gone()
    assert there.kept() == set()


@needs_cluster
@pytest.mark.full
def test_training_goes_on_when_a_pod_and_when_a_process_is_killed(
    there: Place, dataset: Path, tmp_path: Path, figures: Figures
) -> None:
    expected = train_alone(dataset, SPREAD_JOB, tmp_path / "towers")
    step = there.start(SPREAD_JOB)
    step.until_worker_says("epoch 2:")
    start = time.monotonic()
    step.delete(step.workers()[1])
    assert kept(step.until_worker_says("going on after", attempt=1)) >= (1, 0)
    figures.add(CONFIGURATION, "deleted pod costs", time.monotonic() - start, "seconds")
    step.until_worker_says("epoch 3:", attempt=1)
    start = time.monotonic()
    step.kill_process(step.workers(attempt=1)[0])
    assert kept(step.until_worker_says("going on after", attempt=2)) >= (2, 0)
    figures.add(CONFIGURATION, "killed process costs", time.monotonic() - start, "seconds")
    code, said = step.end()
    assert code == 0, said
    check_curve(there, step, expected)
    step.until_gone()
    assert there.kept() == set()


@needs_cluster
@pytest.mark.full
def test_a_step_that_is_told_to_end_takes_its_pods_along_and_another_try_goes_on(
    there: Place, alone: tuple[Epoch, ...]
) -> None:
    step = there.start(RARELY_SAVED)
    step.until_worker_says("epoch 2:")
    step.tell_to_end()
    assert failure(step).startswith("the step was told to end")
    step.until_gone()
    assert there.kept() == {step.run_id}
    again = there.start(RARELY_SAVED, step.run_id)
    epochs, batches = kept(again.until_worker_says("going on after"))
    assert epochs >= 1
    # At the end of an epoch it would have been saved anyway.
    assert batches > 0
    code, said = again.end()
    assert code == 0, said
    check_curve(there, again, alone)
    again.until_gone()
    assert there.kept() == set()


@needs_cluster
@pytest.mark.full
def test_a_runtime_that_is_not_there_ends_the_step(
    images: Images, pipeline_image: str, node: Node, dataset: Path
) -> None:
    with place(images, node, without=RUNTIME) as bare:
        bare.bring(dataset)
        step = bare.start(JOB)
        why = failure(step)
        assert why.startswith(f"the cluster refuses TrainJob {step.job}")
        assert "homefeed-torch" in why
        assert "`kubectl apply -k manifests/overlays/training`" in why
        step.until_gone()
        assert bare.kept() == {step.run_id}


@needs_cluster
@pytest.mark.full
def test_an_image_that_is_not_there_ends_the_step(there: Place) -> None:
    step = there.start(JOB, image=NO_IMAGE, start_timeout_seconds=START_SECONDS)
    why = failure(step)
    assert why.startswith(f"TrainJob {step.job} could not start within 15 s: 0 of 2 pods run; ")
    assert "ImagePull" in why
    assert NO_IMAGE in why
    step.until_gone()
    there.forget(step)


@needs_cluster
@pytest.mark.full
def test_a_quota_ends_the_step(there: Place) -> None:
    # The step's own pod still fits.
    with there.at_most(num_pods=2):
        step = there.start(JOB, start_timeout_seconds=START_SECONDS)
        why = failure(step)
    assert why.startswith(f"TrainJob {step.job} could not start within 15 s: 0 of 2 pods run\n")
    assert "exceeded quota: " in why
    step.until_gone()
    there.forget(step)
