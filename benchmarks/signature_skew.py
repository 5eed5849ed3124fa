"""The failure of the source system, broken and mended, and how much sound data drift.

    python -m benchmarks.signature_skew

writes `docs/results/signature-skew.json`: PSI and KS of each statistic of `homefeed.corpus.skew`.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from benchmarks.run import WORK
from homefeed.contracts import Granularity
from homefeed.corpus.select import select_corpus
from homefeed.corpus.skew import find_skew
from homefeed.dataset.build import build_dataset
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import RESULTS_FOLDER, Record, write_results
from homefeed.events.importing import import_events
from homefeed.recipe import Recipe, read_recipe

NAME = "signature-skew"


class Case(NamedTuple):
    """A log, and by what each side counts."""

    title: str
    recipe: str
    training: Granularity
    corpus: Granularity | None


CASES = (
    Case("ml-100k", "ml-100k", Granularity.CANONICAL_SIGNATURE, None),
    Case("ml-1m", "ml-1m", Granularity.CANONICAL_SIGNATURE, None),
    Case("simulator, mended", "simulator", Granularity.CANONICAL_SIGNATURE, None),
    Case("simulator, fine on both sides", "simulator", Granularity.IMAGE_SIGNATURE, None),
    Case(
        "simulator, broken",
        "simulator",
        Granularity.IMAGE_SIGNATURE,
        Granularity.CANONICAL_SIGNATURE,
    ),
)


def measure(case: Case, work: Path) -> list[Record]:
    """PSI and KS of all statistics."""
    recipe = _with(read_recipe(case.recipe), case)
    events, dataset, corpus = (work / f"skew-{part}" for part in (case.recipe, "dataset", "corpus"))
    if not (events / "manifest.json").is_file():
        import_events(recipe.events, events)
    build_dataset(events, recipe.dataset, recipe.features, recipe.seed, dataset)
    select_corpus(dataset, recipe.corpus, recipe.features, corpus)
    return [
        Record(
            experiment=NAME,
            configuration=f"{case.title}, {skew.feature}",
            metric=metric,
            value=value,
            command="python -m benchmarks.signature_skew",
            commit=commit(),
            machine=machine(),
        )
        for skew in find_skew(dataset, corpus, recipe.features, recipe.corpus.skew)
        for metric, value in (
            ("psi", skew.psi),
            ("ks", skew.ks),
            ("corpus / training", skew.ratio),
            ("stops the run", float(skew.is_skewed)),
        )
    ]


def _with(recipe: Recipe, case: Case) -> Recipe:
    replace = msgspec.structs.replace
    return replace(
        recipe,
        features=replace(recipe.features, granularity=case.training),
        corpus=replace(recipe.corpus, granularity=case.corpus),
    )


def main() -> None:
    """Measures all cases."""
    WORK.mkdir(parents=True, exist_ok=True)
    records = [record for case in CASES for record in measure(case, WORK)]
    write_results(RESULTS_FOLDER / f"{NAME}.json", records)


if __name__ == "__main__":
    main()
