"""Measured results as data, and the tables that documents make of them.

A command that measures writes `docs/results/<experiment>.json`. In a Markdown file, what lies
between these two lines is made from it:

    <!-- results: EXPERIMENT -->
    <!-- /results -->

`python -m homefeed.evaluation.results FILE.md ...`, run where `docs/` lies, writes the tables
again.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from homefeed.evaluation.layout import Evaluation
from homefeed.evaluation.markdown import fill_parts, format_table

RESULTS_FOLDER = Path("docs/results")
NOT_MEASURED = "–"


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measured number.

    `low` and `high` bound its 95 % interval over `n` seeds or repeats, null where there is none.
    `unit` is empty for a share or a score, "ratio" for the ratio of two numbers of one run.
    """

    experiment: str
    configuration: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    n: int = 1
    unit: str = ""
    command: str
    commit: str
    machine: str


def evaluation_records(
    evaluation: Evaluation, experiment: str, command: str, commit: str, machine: str
) -> list[Record]:
    """Records of an evaluation; each recommender is a configuration.

    Args:
        evaluation: what was found.
        experiment: its name.
        command: what a reader types to measure it again.
        commit: of `homefeed.evaluation.provenance`.
        machine: likewise.
    """
    return [
        Record(
            experiment=experiment,
            configuration=name,
            metric=metric,
            value=value,
            command=command,
            commit=commit,
            machine=machine,
        )
        for name, metrics in evaluation.recommenders.items()
        for metric, value in metrics.items()
    ]


def read_results(path: Path) -> list[Record]:
    """The records of one experiment.

    Raises:
        ValueError: the file holds something else; names the place.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Record])
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}") from error


def write_results(path: Path, records: Iterable[Record]) -> None:
    """Adds records to an experiment's file.

    A record takes the place of the one with its configuration and metric; others come last.

    Args:
        path: `docs/results/<experiment>.json`; made where it is absent.
        records: all of this experiment.

    Raises:
        ValueError: a record is of another experiment than the file, or the file is broken.
    """
    held = read_results(path) if path.exists() else []
    merged = {(record.configuration, record.metric): record for record in held}
    for record in records:
        if record.experiment != path.stem:
            raise ValueError(
                f"a record of experiment {record.experiment!r} does not belong in {path}: write "
                f"it to {record.experiment}.json"
            )
        merged[record.configuration, record.metric] = record
    path.parent.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(list(merged.values())), indent=2)
    path.write_bytes(text + b"\n")


def make_table(experiment: str, folder: Path) -> str:
    """An experiment as Markdown.

    Configurations are rows and metrics are columns; where most configurations have metrics of
    their own, each number has a row.

    Raises:
        ValueError: nothing was measured under that name; names what was.
    """
    path = folder / f"{experiment}.json"
    if not path.is_file():
        there = ", ".join(sorted(each.stem for each in folder.glob("*.json"))) or "none"
        raise ValueError(f"no experiment {experiment!r} in {folder}: there are {there}")
    records = read_results(path)
    cells = {(record.configuration, _column(record)): _cell(record) for record in records}
    columns = list(dict.fromkeys(column for _, column in cells))
    configurations = dict.fromkeys(name for name, _ in cells)
    if 2 * len(cells) < len(configurations) * len(columns):
        header = ["configuration", "metric", "value"]
        rows = [[name, column, cell] for (name, column), cell in cells.items()]
    else:
        header = ["configuration", *columns]
        rows = [
            [name, *(cells.get((name, column), NOT_MEASURED) for column in columns)]
            for name in configurations
        ]
    return format_table(header, rows) + "\n\n" + _sources(records)


def make_measured_table(experiment: str, folder: Path) -> str:
    """As `make_table`; empty where the experiment was not measured yet."""
    is_there = (folder / f"{experiment}.json").is_file()
    return make_table(experiment, folder) if is_there else ""


def _column(record: Record) -> str:
    return f"{record.metric} ({record.unit})" if record.unit else record.metric


def _cell(record: Record) -> str:
    if record.low is None or record.high is None:
        return _number(record.value)
    return f"{_number(record.value)} [{_number(record.low)}, {_number(record.high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _sources(records: Sequence[Record]) -> str:
    """How the numbers were measured, a line for each way."""
    measured: dict[str, list[str]] = {}
    for record in records:
        repeats = f"; 95 % intervals over n = {record.n}" if record.low is not None else ""
        commit = f" at {record.commit}" if record.commit else ""
        source = f"`{record.command}`{commit}; {record.machine}{repeats}."
        names = measured.setdefault(source, [])
        if record.configuration not in names:
            names.append(record.configuration)
    if len(measured) == 1:
        return next(iter(measured))
    return "\n".join(f"- {', '.join(names)}: {source}" for source, names in measured.items())


def main(names: Sequence[str]) -> None:
    """Writes the tables of Markdown files again."""
    try:
        for name in names:
            path = Path(name)
            old = path.read_text("utf-8")
            new = fill_parts(old, name, lambda part: make_measured_table(part, RESULTS_FOLDER))
            if new != old:
                path.write_text(new, "utf-8")
                print(f"{name}: tables written again")
    except (ValueError, OSError) as error:
        raise SystemExit(f"results: {error}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
