"""One run: a configuration with a seed, trained and measured, kept in a file.

A run that is there already is read, so that what was interrupted goes on where it was. Towers are
kept apart from what was measured of them: to measure more of them needs no second training.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from benchmarks.baselines import Baselines
from benchmarks.config import Experiment, Sections
from benchmarks.data import DATASET_CODE, Data
from benchmarks.keys import key_of
from benchmarks.measure import Measured, measure_ranking, measure_towers
from benchmarks.trainings import Training
from homefeed.contracts import read_manifest
from homefeed.dataset.layout import DATASET, TRAIN
from homefeed.evaluation.offline import OfflineTest
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.truth import read_truth
from homefeed.export.plain import round_ids
from homefeed.towers.layout import TOWERS
from homefeed.towers.load import load_towers

TRAINING_CODE = (
    *DATASET_CODE,
    "homefeed/distributed",
    "homefeed/id_embeddings",
    "homefeed/ranking",
    "homefeed/losses",
    "homefeed/frequencies",
    "homefeed/towers",
)
TEST_CODE = (
    *DATASET_CODE,
    "homefeed/ranking",
    "homefeed/evaluation/truth",
    "homefeed/evaluation/interests",
    "homefeed/evaluation/offline",
    "homefeed/towers/rank",
    "homefeed/export/int8",
    "benchmarks/measure",
)
BASELINES_CODE = (
    *DATASET_CODE,
    "homefeed/ranking",
    "homefeed/evaluation/truth",
    "homefeed/evaluation/baselines",
    "benchmarks/baselines",
    "benchmarks/ials",
)
SPLIT_SEED = 1
"""Of a random split that all seeds share."""
CHOOSING_METRICS = ("recall@10", "ndcg@10")


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one run came to."""

    configuration: str
    seed: int
    metrics: dict[str, float]
    about: dict[str, Any]
    """What validation chose, and how it went."""
    commit: str
    machine: str
    users: str
    """File with the users, by user_index, and each metric's value of each of them."""


class Runs:
    """Runs of experiments in a work folder."""

    def __init__(self, work: Path) -> None:
        self._work, self._data = work, Data(work)
        self._tests: dict[tuple[Path, tuple[str, ...] | None], OfflineTest] = {}

    def training(
        self, name: str, experiment: Experiment, sections: Sections, seed: int
    ) -> Training | None:
        """What the run of a configuration still has to train; None where its towers are there."""
        needed = self._training(name, experiment, sections, seed)
        is_there = self._read(_run_key(needed, experiment, sections)) is not None
        return None if is_there or _is_trained(needed) else needed

    def towers(self, name: str, experiment: Experiment, sections: Sections, seed: int) -> Outcome:
        """The run of a configuration."""
        needed = self._training(name, experiment, sections, seed)
        key = _run_key(needed, experiment, sections)
        if (done := self._read(key)) is not None:
            return msgspec.structs.replace(done, configuration=name)
        if not _is_trained(needed):
            needed.run()
        test = self._test(needed.dataset, experiment)
        own = load_towers(needed.output, test.encoder)
        round_ids(own)
        measured = measure_towers(test, own, experiment.metrics, sections.ranking)
        details = read_manifest(needed.output, TOWERS).details
        about = {each: details[each] for each in ("best_epoch", "validation", "num_parameters")}
        return self._write(key, name, seed, test, measured, about)

    def baseline(self, name: str, experiment: Experiment, sections: Sections, seed: int) -> Outcome:
        """The run of a baseline on the data set of some sections."""
        assert experiment.baselines is not None
        split_seed = seed if experiment.is_resplit else SPLIT_SEED
        dataset = self._data.dataset(sections, split_seed)
        fingerprint = read_manifest(dataset, DATASET).fingerprint
        metric = sections.training.validation_metric
        metric = metric if metric in CHOOSING_METRICS else CHOOSING_METRICS[0]
        facts = (name, experiment.baselines, metric, experiment.learned, experiment.cutoff)
        ranked = key_of(fingerprint, *facts, seed, code=BASELINES_CODE)
        key = key_of(ranked, experiment.metrics, code=TEST_CODE)
        if (done := self._read(key)) is not None:
            return done
        test = self._test(dataset, experiment)
        path = self._work / "rankings" / f"{ranked}.npz"
        if not path.is_file():
            learned = _learned(experiment)
            baselines = Baselines(dataset, experiment.baselines, learned, seed, self._work)
            ranking, chosen = baselines.rank(name, metric, experiment.cutoff)
            path.parent.mkdir(exist_ok=True)
            np.savez_compressed(path, ranking=ranking, chosen=json.dumps(chosen))
        with np.load(path) as found:
            ranking, chosen = found["ranking"], json.loads(str(found["chosen"]))
        measured = measure_ranking(test, ranking, experiment.metrics)
        return self._write(key, name, seed, test, measured, {"chosen": chosen})

    def _training(
        self, name: str, experiment: Experiment, sections: Sections, seed: int
    ) -> Training:
        dataset = self._data.dataset(sections, seed if experiment.is_resplit else SPLIT_SEED)
        ids = experiment.id_tables[sections.ids] if sections.ids is not None else None
        fingerprint = read_manifest(dataset, DATASET).fingerprint
        facts = (fingerprint, ids, sections.towers, sections.training, seed)
        key = key_of(*facts, code=TRAINING_CODE)
        return Training(
            name=f"{name}, seed {seed}",
            dataset=dataset,
            ids=self._data.ids(ids, dataset) if ids is not None else None,
            towers=sections.towers,
            training=sections.training,
            seed=seed,
            output=self._work / f"towers-{key}",
            checkpoints=self._work / "checkpoints" / key,
        )

    def _test(self, dataset: Path, experiment: Experiment) -> OfflineTest:
        """The data set's test split; the last one is kept, as runs mostly share it."""
        learned = _learned(experiment)
        if (dataset, learned) not in self._tests:
            truth = read_truth(dataset, 1.0, None, 0, self._work / "truth", learned=learned)
            self._tests = {(dataset, learned): OfflineTest(dataset, truth, self._work, learned)}
        return self._tests[dataset, learned]

    def _read(self, key: str) -> Outcome | None:
        path = self._work / "runs" / f"{key}.json"
        return msgspec.json.decode(path.read_bytes(), type=Outcome) if path.is_file() else None

    def _write(
        self,
        key: str,
        name: str,
        seed: int,
        test: OfflineTest,
        measured: Measured,
        about: dict[str, Any],
    ) -> Outcome:
        folder = self._work / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        users = folder / f"{key}.npz"
        arrays: dict[str, Any] = {"users": test.truth.users, **measured.per_user}
        np.savez_compressed(users, **arrays)
        outcome = Outcome(
            configuration=name,
            seed=seed,
            metrics=measured.means(),
            about=about,
            commit=commit(),
            machine=machine(),
            users=str(users),
        )
        draft = folder / f".{key}.json"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=2))
        draft.rename(folder / f"{key}.json")
        return outcome


def _is_trained(training: Training) -> bool:
    return (training.output / "manifest.json").is_file()


def _run_key(training: Training, experiment: Experiment, sections: Sections) -> str:
    trained = training.output.name.removeprefix("towers-")
    asked = (sections.ranking, experiment.metrics, experiment.learned)
    return key_of(trained, *asked, code=TEST_CODE)


def _learned(experiment: Experiment) -> tuple[str, ...] | None:
    return (TRAIN,) if experiment.learned == "train" else None
