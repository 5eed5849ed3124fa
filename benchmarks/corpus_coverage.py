"""What plain and time-decayed corpora cover of the engagements that follow them.

    python -m benchmarks.corpus_coverage

writes `docs/results/corpus-coverage.json`. The half-life is chosen on the validation part; what is
reported is the test part, of which the choice knew nothing.
"""

from pathlib import Path

import numpy as np

from benchmarks.run import WORK
from homefeed.corpus.sweep import Coverage, sweep_corpus
from homefeed.dataset.build import build_dataset
from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import RESULTS_FOLDER, Record, write_results
from homefeed.events.importing import import_events
from homefeed.recipe import read_recipe

NAME = "corpus-coverage"
RECIPES = ("ml-1m", "simulator")


def measure(recipe: str, work: Path) -> list[Record]:
    """Records of one recipe's log: each half-life, and the one that validation chose."""
    sections = read_recipe(recipe)
    events, dataset = work / f"coverage-{recipe}-events", work / f"coverage-{recipe}-dataset"
    import_events(sections.events, events)
    build_dataset(events, sections.dataset, sections.features, sections.seed, dataset)
    chosen = _best(sweep_corpus(dataset, sections.corpus))
    return [
        Record(
            experiment=NAME,
            configuration=f"{recipe}, {_title(row.half_life_days)}"
            + (", chosen" if row.half_life_days == chosen else ""),
            metric=f"coverage@{row.num_pins}",
            value=row.share,
            command="python -m benchmarks.corpus_coverage",
            commit=commit(),
            machine=machine(),
        )
        for row in sweep_corpus(dataset, sections.corpus, after="test")
    ]


def _best(rows: list[Coverage]) -> float:
    """The half-life of the highest mean coverage over all sizes."""
    half_lives = sorted({row.half_life_days for row in rows})
    means = [np.mean([r.share for r in rows if r.half_life_days == each]) for each in half_lives]
    return half_lives[int(np.argmax(means))]


def _title(half_life: float) -> str:
    return f"half-life {half_life:g} days" if half_life else "plain sum"


def main() -> None:
    """Measures all recipes."""
    WORK.mkdir(parents=True, exist_ok=True)
    records = [record for recipe in RECIPES for record in measure(recipe, WORK)]
    write_results(RESULTS_FOLDER / f"{NAME}.json", records)


if __name__ == "__main__":
    main()
