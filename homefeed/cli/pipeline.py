"""`homefeed run`: the pipeline on this machine, and what it measured."""

import shutil
from pathlib import Path

from rich.table import Table

from homefeed.cli.console import console, make_table, say
from homefeed.cli.last_run import LastRun, record_run
from homefeed.cli.service import refuse_served
from homefeed.cli.signals import stop_in_order
from homefeed.evaluation.layout import MODEL, REPORT_FILE, Evaluation, read_evaluation
from pipelines.local import LocalRun, run_locally


def show_run(recipe: str, work: Path, store: str) -> None:
    """Runs a recipe's pipeline and prints what came out; see `run_pipeline`."""
    run, evaluation = run_pipeline(recipe, work, store)
    console.print(stages_table(run))
    console.print(metrics_table(evaluation))
    say(f"release: {run.release}")
    say(f"report:  {work / REPORT_FILE}")


def run_pipeline(recipe: str, work: Path, store: str) -> tuple[LocalRun, Evaluation]:
    """Runs a recipe's pipeline and records where its artifacts lie.

    Args:
        recipe: the name of a shipped one, or a path.
        work: folder that gets everything, `run.json` and `report.html` too; what is valid in it is
            reused.
        store: URL, or folder, of the store with ID embeddings; empty where the recipe uses none.

    Raises:
        ValueError: the recipe or its log cannot be used, or the work folder is being served.
        RuntimeError: a stage failed.
    """
    stop_in_order()
    refuse_served(work)
    run = run_locally(recipe, work, store=store)
    evaluation = read_evaluation(run.evaluation)
    shutil.copyfile(run.evaluation / REPORT_FILE, work / REPORT_FILE)
    record_run(
        work,
        LastRun(
            release=str(run.release.resolve()),
            version=evaluation.release_version,
            dataset=str(run.dataset.resolve()),
        ),
    )
    return run, evaluation


def shown_metrics(evaluation: Evaluation) -> list[str]:
    """The metrics that say most, in the order of a table."""
    first = evaluation.cutoffs[0]
    recall = [f"recall@{cutoff}" for cutoff in evaluation.cutoffs]
    return [*recall, f"ndcg@{first}", f"coverage@{first}"]


def metrics_table(evaluation: Evaluation) -> Table:
    """The model beside the baselines."""
    names = shown_metrics(evaluation)
    population = evaluation.population
    table = make_table(
        "recommender",
        *names,
        right=tuple(names),
        title=f"{population.num_users:,} users, all {evaluation.catalogue.num_candidates:,} pins, "
        f"{evaluation.split} split",
    )
    for recommender, metrics in evaluation.recommenders.items():
        style = "bold" if recommender == MODEL else None
        table.add_row(recommender, *(f"{metrics[name]:.4f}" for name in names), style=style)
    return table


def stages_table(run: LocalRun) -> Table:
    """What each stage took."""
    table = make_table("stage", "seconds", "peak memory", "", right=("seconds", "peak memory"))
    for stage in run.stages:
        memory = f"{stage.peak_memory_bytes / 2**20:,.0f} MiB"
        table.add_row(stage.name, f"{stage.seconds:.1f}", memory, "reused" if stage.reused else "")
    return table
