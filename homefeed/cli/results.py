"""The figures of a demonstration as measured results, which the README's tables are made from."""

from pathlib import Path

import msgspec

from homefeed.cli.pipeline import shown_metrics
from homefeed.cli.summary import Summary
from homefeed.evaluation.layout import Evaluation
from homefeed.evaluation.results import Record, evaluation_records, write_results
from homefeed.recipe import read_recipe


def refuse_reuse(results: Path, work: Path) -> None:
    """Keeps seconds and memory from being those of parts of a run.

    Raises:
        ValueError: the file cannot hold results, or the work folder holds something to reuse.
    """
    if results.suffix != ".json":
        raise ValueError(f"--results {results}: must be a file whose name ends with .json")
    if work.is_dir() and any(work.iterdir()):
        raise ValueError(
            f"--results measures a run that reuses nothing, and {work} is not empty: remove it, or "
            "give another folder with --work"
        )


def write_figures(path: Path, summary: Summary, evaluation: Evaluation) -> None:
    """Writes how good the recommendations are, and in a file beside it what they cost.

    Args:
        path: `<experiment>.json`; the cost goes to `<experiment>-cost.json`.
        summary: of the demonstration.
        evaluation: of the same run.
    """
    command = f"homefeed demo --recipe {summary.recipe} --results {path}"
    recipe = read_recipe(summary.recipe)
    setting = f"{recipe.name}, {evaluation.split} split, seed {evaluation.seed}"
    shown = shown_metrics(evaluation)
    quality = [
        msgspec.structs.replace(record, configuration=f"{record.configuration} ({setting})")
        for record in evaluation_records(
            evaluation, path.stem, command, summary.commit, summary.machine
        )
        if record.metric in shown
    ]
    figures = (
        ("p50 of a request", summary.latency.p50_milliseconds, "ms"),
        ("p99 of a request", summary.latency.p99_milliseconds, "ms"),
        ("whole demo", summary.total_seconds, "seconds"),
        (
            "memory of the largest stage",
            max(stage.peak_memory_bytes for stage in summary.stages),
            "bytes",
        ),
    )
    cost = [
        Record(
            experiment=f"{path.stem}-cost",
            configuration=setting,
            metric=metric,
            value=value,
            unit=unit,
            command=command,
            commit=summary.commit,
            machine=summary.machine,
        )
        for metric, value, unit in figures
    ]
    write_results(path, quality)
    write_results(path.with_stem(f"{path.stem}-cost"), cost)
