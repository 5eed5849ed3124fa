"""What both checks of skew do with their comparisons: write, draw, and refuse."""

import sys
from pathlib import Path

import msgspec
from markupsafe import Markup

from homefeed.data_checks.comparison import Comparison
from homefeed.data_checks.config import SkewConfig
from homefeed.pages.axes import draw_panels, label_axes
from homefeed.pages.render import render
from homefeed.pages.svg import BLUE, COLOURS, GREY, INK, to_svg

TEMPLATE = "skew.html.j2"
COMPARISONS_FILE = "comparisons.json"
REPORT_FILE = "report.html"
BAR_WIDTH = 0.4


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """One check of skew and all that it compared."""

    title: str
    found_in: str
    """What is compared with training: "corpus" or "serving"."""
    num_rows: int
    """Training rows that were compared."""
    comparisons: tuple[Comparison, ...]
    causes: str
    """What usually makes the two sides differ, for the error."""


def conclude(skew: Skew, config: SkewConfig, output: Path) -> None:
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
        skew=skew,
        config=config,
        is_judged=is_judged,
        wrong=wrong,
        charts=Markup(_charts(skew)) if skew.comparisons else "",
    )
    (output / REPORT_FILE).write_text(page, "utf-8")
    if not is_judged:
        print(
            f"warning: {skew.title} is not judged: {skew.num_rows:,} training rows are within "
            f"skew.recent_days={config.recent_days:g} of serving time, and "
            f"skew.min_rows={config.min_rows:,}",
            file=sys.stderr,
        )
    if wrong:
        lines = [f"  {feature}: {why}" for feature, why in wrong.items()]
        raise ValueError(
            f"{skew.title}: the towers were trained on other values than the {skew.found_in} "
            f"gives them, over {skew.num_rows:,} rows:\n" + "\n".join(lines) + f"\n{skew.causes}"
        )


def _excess(each: Comparison, config: SkewConfig) -> str:
    """What is beyond its limit; empty for nothing."""
    said = []
    if each.psi > config.max_psi:
        said.append(f"PSI {each.psi:.3f} (skew.max_psi={config.max_psi:g})")
    if each.ks is not None and each.ks > config.max_ks:
        said.append(f"KS {each.ks:.3f} (skew.max_ks={config.max_ks:g})")
    if each.moved is not None and each.moved > config.max_moved:
        said.append(f"{each.moved:.1%} of the rows moved (skew.max_moved={config.max_moved:g})")
    if each.unknown is not None and each.unknown[1] - each.unknown[0] > config.max_unknown_rise:
        said.append(
            f"out of vocabulary {each.unknown[0]:.1%} -> {each.unknown[1]:.1%} "
            f"(skew.max_unknown_rise={config.max_unknown_rise:g})"
        )
    if said and each.medians is not None:
        said.append(f"median {each.medians[0]:g} -> {each.medians[1]:g}")
    return ", ".join(said)


def _charts(skew: Skew) -> str:
    figure, panels = draw_panels(len(skew.comparisons))
    for axes, each in zip(panels, skew.comparisons, strict=True):
        places = range(len(each.parts))
        sides = (("training", each.expected, GREY), (skew.found_in, each.found, BLUE))
        for side, (label, shares, colour) in enumerate(sides):
            offsets = [place + (side - 0.5) * BAR_WIDTH for place in places]
            axes.bar(offsets, shares, BAR_WIDTH, color=COLOURS[colour].light, label=label)
        axes.set_xticks(places, each.parts, rotation=45, ha="right")
        label_axes(axes, each.feature, "", "share of rows")
        axes.tick_params(axis="x", labelsize=6)
    panels[0].legend(frameon=False, fontsize=8, labelcolor=COLOURS[INK].light)
    return to_svg(figure, "parts", f"Shares of each feature in training and {skew.found_in}")
