import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from homefeed.evaluation.layout import Evaluation
from homefeed.evaluation.report import render_report
from homefeed.towers.layout import Epoch, Training
from tests.evaluation.known_release import TRAINING

EMPTY_ELEMENTS = {"meta", "link", "img", "br", "path", "use"}


class Page(HTMLParser):
    """What a browser would see: text, elements with attributes, and that every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in EMPTY_ELEMENTS:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def text(evaluation_folder: Path) -> str:
    return (evaluation_folder / "report.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(text: str) -> Page:
    return Page(text)


def test_the_page_holds_the_numbers(page: Page, evaluation: Evaluation) -> None:
    words = " ".join(page.text.split())
    for metrics in evaluation.recommenders.values():
        for value in metrics.values():
            assert f"{value:.4f}" in words
    for difference in evaluation.differences.values():
        bounds = f"[{difference.low:+.4f}, {difference.high:+.4f}]".replace("-", "−")
        assert bounds in words
    for bucket in evaluation.by_history_length:
        assert f"{bucket.shortest}–{bucket.longest}" in words
        assert f"{bucket.recommenders['model']['recall@20']:.4f}" in words
    assert f"Release {evaluation.release_version}" in words
    assert evaluation.dataset in words
    assert "recall@5 = 1.0000, recall@20 = 1.0000." in words
    assert (
        "3 epochs in 4 seconds; validation chose epoch 3 by recall@10 (the dashed line)." in words
    )
    assert "trained anew" not in words
    for title in ("Recall", "NDCG", "Hit rate", "Coverage", "Training loss", "Validation"):
        assert title in words


def test_the_page_loads_nothing_and_runs_nothing(page: Page, text: str) -> None:
    assert "//" not in re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    for tag, attributes in page.elements:
        assert tag not in {"script", "link", "img", "iframe", "object"}
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name != "src"
            if name in {"href", "xlink:href"}:
                assert value is not None and value.startswith("#")


def test_the_charts_stand_beside_each_other(page: Page) -> None:
    charts = [attributes for tag, attributes in page.elements if tag == "svg"]
    assert len(charts) == 3
    assert all(chart["role"] == "img" and chart["aria-label"] for chart in charts)
    # Ids are the page's own: a chart that used another's would be drawn wrongly.
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {value for _, own in page.elements for name, value in own.items() if "href" in name}
    assert used and used <= {f"#{each}" for each in ids}


def test_the_charts_take_the_page_s_colours(text: str) -> None:
    charts = text[text.index("<svg") :]
    assert {"var(--blue)", "var(--green)", "var(--ink)"} <= set(re.findall(r"var\(--\w+\)", charts))
    # White and black are clip paths and defaults; nothing else is fixed.
    assert set(re.findall(r"#[0-9a-f]{6}\b", charts)) <= {"#ffffff", "#000000"}


def test_hostile_names_are_text(evaluation: Evaluation) -> None:
    hostile = "<script>alert('x')</script>\"&"
    changed = msgspec.structs.replace(
        evaluation, release_version=hostile, embedding_space=hostile, left_out={"ease": hostile}
    )
    epochs = tuple(
        Epoch(
            epoch=epoch,
            train_loss=1.0,
            validation={hostile: 0.5},
            temperature=0.1,
            num_examples=64,
            seconds={"data": 1.0},
        )
        for epoch in (1, 2)
    )
    page = Page(render_report(changed, Training(epochs=epochs, best_epoch=1, metric=hostile)))
    assert "script" not in {tag for tag, _ in page.elements}
    # Title, headline, reason, chosen metric, legend and facts.
    assert page.text.count(hostile) == 6


def test_equal_evaluations_give_equal_pages(evaluation: Evaluation, text: str) -> None:
    assert render_report(evaluation, TRAINING) == text


def test_a_refit_is_told(evaluation: Evaluation) -> None:
    refit = tuple(msgspec.structs.replace(each, validation={}) for each in TRAINING.epochs[:2])
    again = msgspec.structs.replace(TRAINING, best_epoch=2, refit=refit)
    words = " ".join(Page(render_report(evaluation, again)).text.split())
    assert "validation chose epoch 2 by recall@10 (the dashed line). The towers were then" in words
    assert "trained anew on training and validation for 2 epochs, in 3 seconds." in words


def test_one_epoch_and_one_cutoff_make_a_page(evaluation: Evaluation) -> None:
    buckets = tuple(
        msgspec.structs.replace(
            bucket,
            recommenders={
                name: {"recall@5": metrics["recall@5"]}
                for name, metrics in bucket.recommenders.items()
            },
        )
        for bucket in evaluation.by_history_length[:1]
    )
    small = msgspec.structs.replace(evaluation, cutoffs=(5,), by_history_length=buckets)
    once = msgspec.structs.replace(TRAINING, epochs=TRAINING.epochs[:1], best_epoch=1)
    assert "Recall@5" in Page(render_report(small, once)).text
