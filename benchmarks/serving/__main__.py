"""Measures serving and writes `docs/results/serving-*.json` and the tables of `docs/serving.md`.

    python -m benchmarks.serving [--only rest search soak] [--corpora "3.7 k pins" "1 M pins"]

What was measured before is kept; `--anew` measures it again. `--soak MINUTES` adds the soak, of the
first corpus. Releases are made once, in the work folder. Nothing else should run on the machine:
servers and the load generator share its cores.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.serving.plan import CORPORA, Corpus, Plan
from benchmarks.serving.releases import Releases
from benchmarks.serving.rest import LOAD, measure_rest
from benchmarks.serving.search import SEARCH, measure_search
from benchmarks.serving.soak import SOAK, measure_soak
from homefeed.evaluation.results import RESULTS_FOLDER, Record, read_results, write_results
from homefeed.evaluation.results import main as write_tables

WORK = Path("build/bench-serving")
DOCUMENT = "docs/serving.md"
PARTS = {"rest": LOAD, "search": SEARCH, "soak": SOAK}
"""Parts with the experiment that says whether they were measured."""


def measure(part: str, corpus: Corpus, plan: Plan, work: Path, minutes: int) -> Iterator[Record]:
    """Measures one part on one corpus."""
    releases = Releases(work / "releases")
    match part:
        case "rest":
            yield from measure_rest(corpus, releases, plan, work)
        case "search":
            yield from measure_search(corpus, releases, plan, work)
        case _:
            yield from measure_soak(corpus, releases, plan, work, minutes)


def is_measured(part: str, corpus: Corpus, results: Path) -> bool:
    """Whether records of a part are there already."""
    path = results / f"{PARTS[part]}.json"
    return path.is_file() and any(
        record.configuration.startswith(corpus.title) for record in read_results(path)
    )


def keep(records: Sequence[Record], results: Path) -> None:
    """Writes records to the files of their experiments."""
    for name in dict.fromkeys(record.experiment for record in records):
        own = [record for record in records if record.experiment == name]
        write_results(results / f"{name}.json", own)


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    titles = [corpus.title for corpus in CORPORA]
    plan = Plan()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--only", nargs="+", choices=PARTS, default=["rest", "search"])
    parser.add_argument("--corpora", nargs="+", choices=titles, default=titles)
    parser.add_argument("--soak", type=int, metavar="MINUTES", help="10 shows what there is")
    parser.add_argument("--repeats", type=int, default=plan.num_repeats)
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="of each load")
    parser.add_argument("--anew", action="store_true")
    parser.add_argument("--work", type=Path, default=WORK, help=f"by default {WORK}")
    parser.add_argument("--results", type=Path, default=RESULTS_FOLDER)
    given = parser.parse_args(arguments)
    plan = plan._replace(num_repeats=given.repeats, seconds=given.seconds)
    corpora = [corpus for corpus in CORPORA if corpus.title in given.corpora]
    planned = [(part, corpus) for corpus in corpora for part in given.only if part != "soak"]
    if given.soak:
        planned.append(("soak", corpora[0]))
    for part, corpus in planned:
        if not given.anew and is_measured(part, corpus, given.results):
            print(f"{part} of {corpus.title} is in {given.results} already", file=sys.stderr)
            continue
        records = list(measure(part, corpus, plan, given.work, given.soak))
        keep(records, given.results)
        if given.results == RESULTS_FOLDER:
            write_tables([DOCUMENT])


if __name__ == "__main__":
    main(sys.argv[1:])
