import re

import msgspec
import pytest

from homefeed.contracts import Granularity, Manifest, Window
from homefeed.id_embeddings.layout import ID_EMBEDDINGS
from homefeed.id_embeddings.window_rule import PublishedTable, choose_table, of_granularity

DAY = 86_400
START_OF_TRAINING = 965_088_000
"""2000-08-01."""
TRAINING = Window(START_OF_TRAINING, START_OF_TRAINING + 100 * DAY)


def table(version: str, from_days: float, to_days: float, created_at: int = 0) -> PublishedTable:
    """One whose window is given in days after the start of the training."""
    start, end = (START_OF_TRAINING + int(days * DAY) for days in (from_days, to_days))
    return PublishedTable(
        version,
        Manifest(kind=ID_EMBEDDINGS, window=Window(start, end), details={"created_at": created_at}),
    )


def test_the_latest_legal_table_is_chosen() -> None:
    tables = [
        table("overlapping", -90, 1),
        table("old", -400, -100),
        table("latest", -300, -7),
        table("of the future", 100, 200),
        table("short", -20, -10),
    ]
    for rotated in (tables[n:] + tables[:n] for n in range(len(tables))):
        assert choose_table(rotated, TRAINING).version == "latest"


def test_windows_that_touch_do_not_overlap() -> None:
    assert choose_table([table("adjacent", -30, 0)], TRAINING).version == "adjacent"
    with pytest.raises(ValueError, match="1 second overlap"):
        choose_table([table("late", -30, 1 / DAY)], TRAINING)


def test_of_tables_that_end_together_the_one_made_last_is_chosen() -> None:
    tables = [table("b", -30, 0, created_at=1), table("a", -60, 0, created_at=2)]
    assert choose_table(tables, TRAINING).version == "a"
    assert choose_table(tables[::-1], TRAINING).version == "a"


def test_an_overlapping_table_is_refused_with_both_windows_and_what_to_do() -> None:
    with pytest.raises(ValueError) as refusal:
        choose_table([table("20000810T000000Z-0badf00d", -31, 9)], TRAINING)
    assert str(refusal.value) == (
        "ID embeddings 20000810T000000Z-0badf00d cover "
        "2000-07-01T00:00:00Z..2000-08-10T00:00:00Z but the towers train from "
        "2000-08-01T00:00:00Z..2000-11-09T00:00:00Z: 9 days overlap. Use a table that ends on or "
        "before 2000-08-01T00:00:00Z; where there is none, pre-train one with window.end no later "
        "than that."
    )


@pytest.mark.parametrize(
    ("window", "said"),
    [
        ((-1, 0.5), "12 hours overlap"),
        ((20, 21.5), "2 days overlap"),
        ((-10, 150), "100 days overlap"),
        ((50, 50 + 90 / DAY), "90 seconds overlap"),
        ((100, 130), "it comes after them"),
    ],
)
def test_how_much_windows_overlap_is_said(window: tuple[float, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        choose_table([table("x", *window)], TRAINING)


def test_of_many_refused_tables_those_that_end_first_are_named() -> None:
    tables = [table(f"version-{days}", -1, days) for days in range(1, 9)]
    with pytest.raises(ValueError, match="3 more end later") as refusal:
        choose_table(tables[::-1], TRAINING)
    assert re.findall(r"version-\d", str(refusal.value)) == [f"version-{n}" for n in range(1, 6)]


def test_without_any_table_it_is_said_which_would_do() -> None:
    with pytest.raises(
        ValueError, match="no ID embeddings yet.* on or before 2000-08-01T00:00:00Z"
    ):
        choose_table([], TRAINING)


def test_rows_must_stand_for_what_the_pins_of_the_data_set_stand_for() -> None:
    by_pin, by_item = table("by pin", -30, -2), table("by item", -30, -3)
    counted = msgspec.structs.replace(by_item.manifest, granularity=Granularity.CANONICAL_SIGNATURE)
    by_item = msgspec.structs.replace(by_item, manifest=counted)
    found = of_granularity([by_pin, by_item], Granularity.CANONICAL_SIGNATURE)
    assert [each.version for each in found] == ["by item"]
    assert of_granularity([], Granularity.PIN) == []
    with pytest.raises(ValueError, match="row for each pin and .* granularity canonical"):
        of_granularity([by_pin], Granularity.CANONICAL_SIGNATURE)
