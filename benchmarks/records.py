"""From runs to records of `docs/results`: means over seeds, differences of pairs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.config import Comparison, Experiment
from benchmarks.intervals import Estimate, over_seeds, over_seeds_and_users
from benchmarks.runs import Outcome
from homefeed.evaluation.results import Record


def make_records(
    name: str, experiment: Experiment, outcomes: Mapping[str, Sequence[Outcome]]
) -> list[Record]:
    """All records of an experiment.

    Args:
        name: of the experiment.
        experiment: what is to be compared.
        outcomes: the runs of each configuration and baseline, one a seed; comparisons of which one
            side was not run are left out.
    """
    records = []
    for configuration, runs in outcomes.items():
        for metric in runs[0].metrics:
            estimate = over_seeds(np.array([run.metrics[metric] for run in runs]))
            records.append(_record(name, configuration, metric, estimate, "", runs))
    for each in experiment.comparisons:
        if each.of in outcomes and each.to in outcomes:
            records += _compare(name, each, outcomes[each.of], outcomes[each.to])
    return records


def _compare(
    name: str, comparison: Comparison, ours: Sequence[Outcome], theirs: Sequence[Outcome]
) -> list[Record]:
    pairs = _pair(ours, theirs)
    records = []
    for metric in ours[0].metrics:
        if metric not in theirs[0].metrics:
            continue
        of, to = (np.array([pair[side].metrics[metric] for pair in pairs]) for side in (0, 1))
        if comparison.is_ratio:
            estimate, unit = over_seeds(of / to), "ratio"
        else:
            gains = _gains(pairs, metric)
            estimate = over_seeds(of - to) if gains is None else over_seeds_and_users(gains)
            unit = ""
        runs = [run for pair in pairs for run in pair]
        records.append(_record(name, comparison.name, metric, estimate, unit, runs, len(pairs)))
    return records


def _pair(ours: Sequence[Outcome], theirs: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Runs of equal seeds; where one side has but one run, it is beside all of the other's."""
    if len(ours) == 1 or len(theirs) == 1:
        return [(of, to) for of in ours for to in theirs]
    by_seed = {run.seed: run for run in theirs}
    return [(run, by_seed[run.seed]) for run in ours if run.seed in by_seed]


def _gains(pairs: Sequence[tuple[Outcome, Outcome]], metric: str) -> np.ndarray | None:
    """Differences `[S, U]` of the users that all runs have; None for what is not of users."""
    rows = []
    for of, to in pairs:
        ours, theirs = (np.load(Path(run.users)) for run in (of, to))
        if metric not in ours:
            return None
        users, at, other = np.intersect1d(ours["users"], theirs["users"], return_indices=True)
        gain = ours[metric][at] - theirs[metric][other]
        rows.append(dict(zip(users.tolist(), gain.tolist(), strict=True)))
    shared = set.intersection(*(set(row) for row in rows))
    gains = np.array([[row[user] for user in sorted(shared)] for row in rows])
    return gains[:, ~np.isnan(gains).any(axis=0)]


def _record(
    name: str,
    configuration: str,
    metric: str,
    estimate: Estimate,
    unit: str,
    runs: Sequence[Outcome],
    num_seeds: int | None = None,
) -> Record:
    return Record(
        experiment=name,
        configuration=configuration,
        metric=metric,
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        n=num_seeds or len(runs),
        unit=unit,
        command=f"make results EXPERIMENT={name}",
        commit=", ".join(sorted({run.commit for run in runs} - {""})),
        machine="; ".join(sorted({run.machine for run in runs})),
    )
