"""What becomes of the comparisons of serving and training: written, drawn, refused."""

import sys
from pathlib import Path

import msgspec
from markupsafe import Markup

from homefeed.pages.axes import draw_panels, label_axes
from homefeed.pages.render import render
from homefeed.pages.svg import BLUE, COLOURS, GREY, INK, to_svg
from homefeed.release.comparison import Comparison
from homefeed.release.config import OnlineSkewConfig

TEMPLATE = "skew.html.j2"
COMPARISONS_FILE = "comparisons.json"
REPORT_FILE = "report.html"
BAR_WIDTH = 0.4
TITLE = "Users' features in training and serving"
CAUSES = (
    "Users that are encoded otherwise are usually of a snapshot that was made of another data set, "
    "of another encoder (features.json), of columns that were filled or cast in another way, or of "
    "histories with other actions, ids or order. Make both sides alike, then run again."
)


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """All that was compared, and over how many training rows."""

    num_rows: int
    comparisons: tuple[Comparison, ...]


def conclude(skew: Skew, config: OnlineSkewConfig, output: Path) -> None:
    """Writes comparisons and report, then refuses features that are beyond a limit.

    Args:
        skew: what was compared.
        config: the limits.
        output: folder of the artifact.

    Raises:
        ValueError: a feature differs by more than a limit; names all such features.
    """
    is_judged = skew.num_rows >= config.min_rows
    wrong = {
        each.feature: why
        for each in skew.comparisons
        if is_judged and each.is_judged and (why := _excess(each, config))
    }
    text = msgspec.json.format(msgspec.json.encode(skew), indent=2) + b"\n"
    (output / COMPARISONS_FILE).write_bytes(text)
    page = render(
        Path(__file__).parent / TEMPLATE,
        {"percent": "{:.1%}".format},
        title=TITLE,
        causes=CAUSES,
        skew=skew,
        config=config,
        is_judged=is_judged,
        wrong=wrong,
        charts=Markup(_charts(skew)) if skew.comparisons else "",
    )
    (output / REPORT_FILE).write_text(page, "utf-8")
    if not is_judged:
        print(
            f"warning: {TITLE} is not judged: {skew.num_rows:,} training rows are within "
            f"online_skew.recent_days={config.recent_days:g} of serving time, and "
            f"online_skew.min_rows={config.min_rows:,}",
            file=sys.stderr,
        )
    if wrong:
        lines = [f"  {feature}: {why}" for feature, why in wrong.items()]
        raise ValueError(
            f"{TITLE}: the towers were trained on other values than serving gives them, "
            f"over {skew.num_rows:,} rows:\n" + "\n".join(lines) + f"\n{CAUSES}"
        )


def _excess(each: Comparison, config: OnlineSkewConfig) -> str:
    """What is beyond its limit; empty for nothing."""
    said = []
    if each.psi > config.max_psi:
        said.append(f"PSI {each.psi:.3f} (online_skew.max_psi={config.max_psi:g})")
    if each.ks is not None and each.ks > config.max_ks:
        said.append(f"KS {each.ks:.3f} (online_skew.max_ks={config.max_ks:g})")
    if each.unknown is not None and each.unknown[1] - each.unknown[0] > config.max_unknown_rise:
        said.append(
            f"out of vocabulary {each.unknown[0]:.1%} -> {each.unknown[1]:.1%} "
            f"(online_skew.max_unknown_rise={config.max_unknown_rise:g})"
        )
    if said and each.medians is not None:
        said.append(f"median {each.medians[0]:g} -> {each.medians[1]:g}")
    return ", ".join(said)


def _charts(skew: Skew) -> str:
    figure, panels = draw_panels(len(skew.comparisons))
    for axes, each in zip(panels, skew.comparisons, strict=True):
        places = range(len(each.parts))
        sides = (("training", each.expected, GREY), ("serving", each.found, BLUE))
        for side, (label, shares, colour) in enumerate(sides):
            offsets = [place + (side - 0.5) * BAR_WIDTH for place in places]
            axes.bar(offsets, shares, BAR_WIDTH, color=COLOURS[colour].light, label=label)
        axes.set_xticks(places, each.parts, rotation=45, ha="right")
        label_axes(axes, each.feature, "", "share of rows")
        axes.tick_params(axis="x", labelsize=6)
    panels[0].legend(frameon=False, fontsize=8, labelcolor=COLOURS[INK].light)
    return to_svg(figure, "parts", "Shares of each feature in training and serving")
