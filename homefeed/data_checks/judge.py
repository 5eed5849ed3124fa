"""Holds a profile against the recipe's limits and the previous run's profile."""

from collections.abc import Iterator, Mapping

from homefeed.contracts import Column, iso
from homefeed.data_checks.config import ChecksConfig
from homefeed.data_checks.layout import Finding, Profile
from homefeed.dataset.layout import TEST, VALIDATION
from homefeed.features.config import FeaturesConfig

NEVER_NULL = (
    *(f"engagements.{name}" for name in (Column.EVENT_ID, Column.USER_ID, Column.PIN_ID)),
    *(f"engagements.{name}" for name in (Column.ACTION, Column.SURFACE, Column.TIMESTAMP)),
    *(f"pins.{name}" for name in (Column.PIN_ID, Column.IMAGE_SIGNATURE)),
    f"users.{Column.USER_ID}",
)
"""Columns that the contract fills in every row."""


def judge(
    profile: Profile, config: ChecksConfig, features: FeaturesConfig, previous: Profile | None
) -> list[Finding]:
    """All that is beyond a limit, errors first.

    Args:
        profile: of this run's data.
        config: the limits.
        features: which columns the towers are fed.
        previous: the profile of the run that made the release in production; None for none.
    """
    findings = [
        *_size(profile, config),
        *_nulls(profile, config, features, previous),
        *_ranges(profile, config),
        *_times(profile, config),
        *_duplicates(profile, config),
        *_overlap(profile, config),
    ]
    if previous is not None:
        findings += _volume(profile, config, previous)
        findings += _mixture(profile, config, previous)
    return sorted(findings, key=lambda finding: finding.level != "error")


def _size(profile: Profile, config: ChecksConfig) -> Iterator[Finding]:
    for name in ("engagements", "users", "pins"):
        found, least = getattr(profile, f"num_{name}"), getattr(config, f"min_{name}")
        if found < least:
            yield Finding(
                level="error",
                check="size",
                place=name,
                value=f"there are {found:,}",
                limit=f"checks.min_{name}={least:,}",
                what_to_do="Give more of the log, or see in the import's report what was rejected.",
            )


def _nulls(
    profile: Profile, config: ChecksConfig, features: FeaturesConfig, previous: Profile | None
) -> Iterator[Finding]:
    for place in NEVER_NULL:
        if share := profile.columns[place].null_share:
            yield Finding(
                level="error",
                check="nulls",
                place=place,
                value=f"{share:.2%} of the rows have no value",
                limit="the contract fills it in every row",
                what_to_do="Import the log anew with this version of homefeed.",
            )
    used = [f"pins.{feature.column}" for feature in features.pin]
    used += [f"users.{feature.column}" for feature in features.user]
    for place in used:
        share = profile.columns[place].null_share
        if share > config.max_null_share:
            yield Finding(
                level="warning",
                check="nulls",
                place=place,
                value=f"{share:.1%} of the rows have no value",
                limit=f"checks.max_null_share={config.max_null_share:g}",
                what_to_do="The feature says next to nothing: leave it out, or look at its source.",
            )
        if previous is None or place not in previous.columns:
            continue
        before = previous.columns[place].null_share
        if share - before > config.max_null_rise:
            yield Finding(
                level="error",
                check="nulls",
                place=place,
                value=f"{share:.1%} of the rows have no value, {before:.1%} in the previous run",
                limit=f"checks.max_null_rise={config.max_null_rise:g}",
                what_to_do="Look at what fills the column: it lost values.",
            )


def _ranges(profile: Profile, config: ChecksConfig) -> Iterator[Finding]:
    for place, (low, high) in config.ranges.items():
        column = profile.columns.get(place)
        limit = f"checks.ranges allows {low:g} to {high:g}"
        if column is None or column.low is None or column.high is None:
            yield Finding(
                level="error",
                check="ranges",
                place=place,
                value="it is no column of numbers with a value",
                limit=limit,
                what_to_do="Name a numeric column in checks.ranges, or look at what fills it.",
            )
        elif column.low < low or column.high > high:
            yield Finding(
                level="error",
                check="ranges",
                place=place,
                value=f"it has values from {column.low:g} to {column.high:g}",
                limit=limit,
                what_to_do="Correct the values at their source, or their limits in the recipe.",
            )


def _times(profile: Profile, config: ChecksConfig) -> Iterator[Finding]:
    place = f"engagements.{Column.TIMESTAMP}"
    if profile.early_share > config.max_early_share:
        yield Finding(
            level="error",
            check="ranges",
            place=place,
            value=f"{profile.early_share:.2%} lie before {config.earliest:%Y-%m-%d}, the first at "
            f"{iso(profile.window.start)}",
            limit=f"checks.max_early_share={config.max_early_share:g}",
            what_to_do="Check events.input.timestamp: the unit may be another.",
        )
    limit = config.max_gap_factor * profile.usual_gap_hours
    if profile.largest_gap_hours > limit:
        yield Finding(
            level="warning",
            check="gaps",
            place=place,
            value=f"no engagement for {profile.largest_gap_hours:,.0f} hours from "
            f"{iso(profile.largest_gap_start)} on",
            limit=f"checks.max_gap_factor={config.max_gap_factor:g} times the usual gap of "
            f"{profile.usual_gap_hours:g} hours",
            what_to_do="Look whether files of these days are missing.",
        )


def _duplicates(profile: Profile, config: ChecksConfig) -> Iterator[Finding]:
    if profile.duplicate_share > config.max_duplicate_share:
        yield Finding(
            level="warning",
            check="duplicates",
            place="engagements",
            value=f"{profile.duplicate_share:.2%} repeat another and were dropped",
            limit=f"checks.max_duplicate_share={config.max_duplicate_share:g}",
            what_to_do="Look whether a file is given twice, or events are sent twice.",
        )


def _overlap(profile: Profile, config: ChecksConfig) -> Iterator[Finding]:
    for name, share in (("pin", profile.known_pin_share), ("user", profile.known_user_share)):
        if share is not None and share < config.min_known_share:
            yield Finding(
                level="error",
                check="overlap",
                place=f"{name}s",
                value=f"{share:.1%} of the engagements are of {name}s that the log's table of "
                f"{name}s holds",
                limit=f"checks.min_known_share={config.min_known_share:g}",
                what_to_do=f"See that both tables write {name}_id alike, and are of one time.",
            )
    for split in (VALIDATION, TEST):
        if split not in profile.splits:
            continue
        for name in ("user", "pin"):
            share = getattr(profile.splits[split], f"seen_{name}_share")
            least = getattr(config, f"min_seen_{name}_share")
            if share < least:
                yield Finding(
                    level="warning",
                    check="overlap",
                    place=f"{name}s of {split}",
                    value=f"training has seen {share:.1%} of them",
                    limit=f"checks.min_seen_{name}_share={least:g}",
                    what_to_do="Most of what is measured is unknown to the towers: expect little "
                    "of the metrics, or train more often.",
                )


def _volume(profile: Profile, config: ChecksConfig, previous: Profile) -> Iterator[Finding]:
    factor = profile.volume / previous.volume
    low, high = config.min_volume_factor, config.max_volume_factor
    if low <= factor <= high:
        return
    yield Finding(
        level="error",
        check="volume",
        place="engagements",
        value=f"{profile.volume:,.0f} a day by the end of the log, {factor:.2f} times the previous "
        f"run's {previous.volume:,.0f}",
        limit=f"checks.min_volume_factor={low:g}, checks.max_volume_factor={high:g}",
        what_to_do="Look whether files are missing."
        if factor < low
        else "Look whether files are given twice, or a source was added.",
    )


def _mixture(profile: Profile, config: ChecksConfig, previous: Profile) -> Iterator[Finding]:
    for name in ("actions", "surfaces"):
        now: Mapping[str, float] = getattr(profile, name)
        before: Mapping[str, float] = getattr(previous, name)
        for value in sorted({*now, *before}):
            shares = now.get(value, 0.0), before.get(value, 0.0)
            if abs(shares[0] - shares[1]) <= config.max_mixture_change:
                continue
            yield Finding(
                level="error",
                check="mixture",
                place=f"{name} {value!r}",
                value=f"{shares[0]:.1%} of the engagements, {shares[1]:.1%} in the previous run",
                limit=f"checks.max_mixture_change={config.max_mixture_change:g}",
                what_to_do="Look whether a kind of event is lost, renamed or logged twice.",
            )
