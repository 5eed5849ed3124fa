"""Runs experiments and writes `docs/results/<experiment>.json` and the tables in `docs/results.md`.

    python -m benchmarks.run [EXPERIMENT ...] [--only CONFIGURATION ...] [--seeds N] [--work FOLDER]
                             [--processes N]

Without a name all experiments are run. Where there is no GPU, a training runs on each core. What is
done is kept in the work folder, so the command goes on where it was interrupted; a run is done anew
when its sections, its data or the code that it depends on changed.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.config import BASES, baseline_names, experiment_paths, read_experiment
from benchmarks.records import make_records
from benchmarks.runs import Outcome, Runs
from benchmarks.throughput import NAME as THROUGHPUT
from benchmarks.throughput import measure_throughput
from benchmarks.trainings import run_trainings
from homefeed.evaluation.markdown import fill_parts
from homefeed.evaluation.results import RESULTS_FOLDER, make_measured_table, write_results

WORK = Path("build/results")
DOCUMENT = Path("docs/results.md")


def run_experiment(
    path: Path,
    work: Path,
    results: Path,
    only: Sequence[str] = (),
    num_seeds: int | None = None,
    bases: Path = BASES,
    num_processes: int = 1,
) -> Path:
    """Runs one experiment, or what is left of it.

    Args:
        path: of its file.
        work: folder of what is kept.
        results: folder of the records.
        only: configurations and baselines; all without any.
        num_seeds: instead of the experiment's own.
        bases: folder of its base.
        num_processes: that train at once.

    Returns:
        The file with the records.

    Raises:
        ValueError: no such configuration, or a section does not fit.
    """
    name = path.stem
    experiment, sections = read_experiment(path, bases)
    baselines = baseline_names(experiment.baselines)
    if unknown := sorted(set(only) - {*sections, *baselines}):
        raise ValueError(f"{name} has no {unknown}: there are {', '.join([*baselines, *sections])}")
    seeds = range(1, (num_seeds or experiment.num_seeds) + 1)
    # On one split a baseline has nothing to repeat but iALS's first vectors.
    planned = [
        (each, seed)
        for each in (*baselines, *sections)
        if not only or each in only
        for seed in (seeds if each in sections or experiment.is_resplit else seeds[:1])
    ]
    runs, outcomes = Runs(work), dict[str, list[Outcome]]()
    # Configurations that differ in what is asked of their towers share a training.
    trainings = {
        training.output: training
        for each, seed in planned
        if each in sections
        and (training := runs.training(each, experiment, sections[each], seed)) is not None
    }
    run_trainings(list(trainings.values()), num_processes)
    with tqdm(planned, desc=name, unit="run") as progress:
        for each, seed in progress:
            progress.set_postfix_str(f"{each}, seed {seed}")
            if each in sections:
                outcome = runs.towers(each, experiment, sections[each], seed)
            else:
                outcome = runs.baseline(each, experiment, next(iter(sections.values())), seed)
            outcomes.setdefault(each, []).append(outcome)
            shown = ", ".join(f"{metric} {value:.4f}" for metric, value in outcome.metrics.items())
            tqdm.write(f"{name}, {each}, seed {seed}: {shown}", file=sys.stderr)
    output = results / f"{name}.json"
    if not only:
        # Records of configurations that are no more are left behind otherwise.
        output.unlink(missing_ok=True)
    write_results(output, make_records(name, experiment, outcomes))
    return output


def _processes() -> int:
    """Trainings at once: one for each core, or one that has the GPU to itself."""
    return 1 if torch.cuda.is_available() else len(os.sched_getaffinity(0))


def _write_tables() -> None:
    """Writes the document's tables, but for those of what was never measured."""
    text = fill_parts(
        DOCUMENT.read_text("utf-8"),
        str(DOCUMENT),
        lambda part: make_measured_table(part, RESULTS_FOLDER),
    )
    DOCUMENT.write_text(text, "utf-8")


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT")
    parser.add_argument("--only", nargs="+", default=[], metavar="CONFIGURATION")
    parser.add_argument("--seeds", type=int, metavar="N", help="instead of the experiment's own")
    parser.add_argument(
        "--processes", type=int, default=_processes(), metavar="N", help="that train at once"
    )
    parser.add_argument("--work", type=Path, default=WORK, help=f"by default {WORK}")
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER)
    given = parser.parse_args(arguments)
    paths = experiment_paths()
    names = [*paths, THROUGHPUT]
    if unknown := sorted(set(given.experiments) - set(names)):
        raise SystemExit(f"results: no experiments {unknown}: there are {', '.join(names)}")
    try:
        for name in given.experiments or names:
            if name == THROUGHPUT:
                records = measure_throughput(given.work)
                write_results(given.results / f"{name}.json", records)
            else:
                run_experiment(
                    paths[name],
                    given.work,
                    given.results,
                    given.only,
                    given.seeds,
                    num_processes=given.processes,
                )
            if given.results == RESULTS_FOLDER:
                _write_tables()
    except (ValueError, RuntimeError) as error:
        raise SystemExit(f"results: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
