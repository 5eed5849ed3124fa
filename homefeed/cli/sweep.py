"""`homefeed sweep-corpus`: which half-life covers most of what came next."""

from collections.abc import Sequence
from pathlib import Path

from homefeed.cli.console import console, make_table, program, say
from homefeed.cli.last_run import read_last_run
from homefeed.corpus.sweep import HALF_LIVES, Coverage, sweep_corpus
from homefeed.recipe import read_recipe


def show_sweep(recipe: str, work: Path, half_lives: Sequence[float] | None) -> None:
    """Prints the coverage of corpora by half-life and size, on the last run's data set.

    Raises:
        ValueError: there was no run, or its data set is not split by time.
    """
    last = read_last_run(work)
    if last is None:
        raise ValueError(
            f"{work} holds no run: make one with `{program()} run {recipe} --work {work}`"
        )
    config = read_recipe(recipe).corpus
    rows = sweep_corpus(Path(last.dataset), config, sorted(set(half_lives or HALF_LIVES)))
    sizes = sorted({row.num_pins for row in rows})
    titles = [f"{size:,} pins" for size in sizes]
    table = make_table(
        "half-life", *titles, right=tuple(titles), title="Share of the validation part covered"
    )
    best = {size: max(row.share for row in rows if row.num_pins == size) for size in sizes}
    for half_life in dict.fromkeys(row.half_life_days for row in rows):
        of_half_life = [row for row in rows if row.half_life_days == half_life]
        table.add_row(
            f"{half_life:g} days" if half_life else "none: a plain sum",
            *(_cell(row, best[row.num_pins]) for row in of_half_life),
        )
    console.print(table)
    say("* the most of its size; set corpus.half_life_days to the one that is best for yours")


def _cell(row: Coverage, best: float) -> str:
    return f"{row.share:.1%}{'*' if row.share == best else ' '}"
