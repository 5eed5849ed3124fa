"""What the tests measure, written as results when all have run."""

from pathlib import Path

from homefeed.evaluation.provenance import commit, machine
from homefeed.evaluation.results import Record, write_results

EXPERIMENT = "cluster-e2e"


class Figures:
    """Numbers by configuration and metric."""

    def __init__(self, target: str) -> None:
        """Begins with none.

        Args:
            target: of make, that runs these tests.
        """
        self._command = f"make {target} RESULTS=docs/results/{EXPERIMENT}.json"
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
                command=self._command,
                commit=self._commit,
                machine=self._machine,
            )
        )

    def write(self, path: Path) -> None:
        """Writes them as results."""
        write_results(path, self._records)
