"""The skew check as people read it: one Markdown page."""

from collections.abc import Sequence

from homefeed.corpus.config import SkewConfig
from homefeed.corpus.skew import Skew

BARS = "▁▂▃▄▅▆▇█"


def render_skew(skews: Sequence[Skew], config: SkewConfig) -> str:
    """A table of all statistics, with the two distributions of each as bars over the same bins."""
    if not skews:
        return (
            "# Skew of the corpus\n\nNothing was compared: no pin of the corpus has a training row "
            f"of the last {config.recent_days} days.\n"
        )
    lines = [
        "# Skew of the corpus",
        "",
        f"Values of the same pins in their last training row, of the last {config.recent_days} "
        f"days, and in the corpus. The run stops at a PSI above {config.max_psi:g}, a KS above "
        f"{config.max_ks:g}, or a mean {config.max_ratio:g} times as large or as small, of a "
        "statistic that is judged; one that fades faster is not.",
        "",
        "| statistic | pins | PSI | KS | corpus / training | training | corpus | verdict |",
        "| --- | ---: | ---: | ---: | ---: | --- | --- | --- |",
        *map(_row, skews),
    ]
    return "\n".join(lines) + "\n"


def _row(skew: Skew) -> str:
    verdict = "not judged" if not skew.is_judged else "**skewed**" if skew.is_skewed else "alike"
    cells = (
        skew.feature,
        f"{skew.num_pins:,}",
        f"{skew.psi:.3f}",
        f"{skew.ks:.3f}",
        f"{skew.ratio:.2f}",
        _bars(skew.training),
        _bars(skew.corpus),
        verdict,
    )
    return f"| {' | '.join(cells)} |"


def _bars(shares: Sequence[float]) -> str:
    highest = max(shares) or 1.0
    return "".join(BARS[round(share / highest * (len(BARS) - 1))] for share in shares)
