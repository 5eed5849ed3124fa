import re
from pathlib import Path

from homefeed.pages.axes import draw_panels, label_axes
from homefeed.pages.render import render
from homefeed.pages.svg import BLUE, COLOURS, to_svg


def test_a_template_stands_in_the_page_and_what_it_is_given_is_text(tmp_path: Path) -> None:
    template = tmp_path / "mine.html.j2"
    template.write_text(
        '{% extends "page.html.j2" %}{% block title %}T{% endblock %}'
        "{% block body %}{{ name }}: {{ number | count }}, {{ number | own }}{% endblock %}"
    )
    page = render(template, {"own": lambda value: f"<{value}>"}, name="<b>", number=1234)
    assert page.startswith("<!doctype html>")
    assert "<title>T</title>" in page
    assert "&lt;b&gt;: 1,234, &lt;1234&gt;" in page


def test_every_colour_of_a_figure_is_the_page_s(tmp_path: Path) -> None:
    figure, panels = draw_panels(3)
    assert len(panels) == 3
    for axes in panels:
        axes.plot([0, 1], [1, 2], color=COLOURS[BLUE].light)
        label_axes(axes, "Title", "x", "y")
    svg = to_svg(figure, "name", "What it shows")
    assert {"var(--blue)", "var(--ink)", "var(--grid)"} <= set(re.findall(r"var\(--\w+\)", svg))
    (tmp_path / "empty.html.j2").write_text('{% extends "page.html.j2" %}')
    page = render(tmp_path / "empty.html.j2", {})
    for name, colour in COLOURS.items():
        assert page.count(f"--{name}: {colour.light};") == 1
        assert page.count(f"--{name}: {colour.dark};") == 1
