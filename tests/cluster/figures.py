"""What the tests measure, written as results when all have run."""

from pathlib import Path

from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record, write_results

EXPERIMENT = "cluster-road"
COMMAND = f"make e2e-cluster RESULTS=docs/results/{EXPERIMENT}.json"


class Figures:
    """Numbers by configuration and metric."""

    def __init__(self) -> None:
        self._records: list[Record] = []
        # The clone may change while the tests run.
        self._commit, self._machine = commit(), machine()

    def add(self, configuration: str, metric: str, value: float, unit: str) -> None:
        """Takes note of a number."""
        self._records.append(
            Record(
                experiment=EXPERIMENT,
                configuration=configuration,
                metric=metric,
                value=round(value, 3),
                unit=unit,
                command=COMMAND,
                commit=self._commit,
                machine=self._machine,
            )
        )

    def write(self, path: Path) -> None:
        """Writes them as results."""
        write_results(path, self._records)
