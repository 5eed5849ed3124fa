"""The report of the data checks: volume over time first, then what is wrong, then the facts."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from markupsafe import Markup
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from homefeed.data_checks.layout import Finding, Profile
from homefeed.pages.axes import draw_panels, label_axes
from homefeed.pages.render import render
from homefeed.pages.svg import BLUE, COLOURS, to_svg

TEMPLATE = "report.html.j2"
WIDE_INCHES = (8.8, 2.8)


def render_report(
    profile: Profile | None, findings: Sequence[Finding], previous: Profile | None
) -> str:
    """The page as text; equal profiles give equal pages.

    Args:
        profile: None where the tables are not those of the contract.
        findings: what is beyond a limit.
        previous: None where there is no previous run.
    """
    chart = Markup(_days_chart(profile)) if profile else ""
    return render(
        Path(__file__).parent / TEMPLATE,
        {"percent": _percent, "number": _number},
        count="{:,.0f}".format,
        percent=_percent,
        number=_number,
        profile=profile,
        previous=previous,
        findings=findings,
        num_errors=sum(finding.level == "error" for finding in findings),
        days_chart=chart,
    )


def _days_chart(profile: Profile) -> str:
    figure, (axes,) = draw_panels(1, num_columns=1)
    figure.set_size_inches(*WIDE_INCHES)
    first, last = (date.fromisoformat(pick(profile.days)) for pick in (min, max))
    days = [first + timedelta(days=place) for place in range((last - first).days + 1)]
    counts = [profile.days.get(day.isoformat(), 0) for day in days]
    axes.fill_between(date2num(days), counts, step="mid", color=COLOURS[BLUE].light, linewidth=0)
    axes.set_ylim(bottom=0)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    label_axes(axes, "Engagements a day", "day, UTC", "engagements")
    return to_svg(figure, "days", "Engagements of each day of the log")


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
