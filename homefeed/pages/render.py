"""Renders a report's template within the page that all reports share."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from homefeed.contracts import iso
from homefeed.pages.svg import COLOURS


def render(template: Path, filters: Mapping[str, Callable[..., Any]], **values: Any) -> str:
    """The page as text; equal values give equal pages.

    Args:
        template: extends `page.html.j2`; what it is given is escaped.
        filters: of the template, beside `count`, `iso` and `score`.
        values: of the template.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"count": _count, "iso": iso, "score": _score, **filters}
    return environment.get_template(template.name).render(colours=COLOURS, **values)


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _score(value: float) -> str:
    return f"{value:.4f}"
