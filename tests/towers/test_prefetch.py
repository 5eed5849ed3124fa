import threading
from collections.abc import Iterator

import pytest

from homefeed.towers.prefetch import prefetch


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("prefetch")]


def test_all_items_come_in_their_order() -> None:
    assert list(prefetch(iter(range(100)))) == list(range(100))
    assert list(prefetch(iter([]))) == []
    assert not threads()


def test_the_next_item_is_made_while_one_is_used() -> None:
    is_made = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        is_made.set()
        yield 1

    with_one = prefetch(items())
    assert next(with_one) == 0
    assert is_made.wait(timeout=60)
    assert list(with_one) == [1]


def test_an_error_comes_where_its_item_would_have() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("this block is damaged")

    found = prefetch(items())
    assert next(found) == 0
    with pytest.raises(ValueError, match="this block is damaged"):
        next(found)
    assert not threads()


def test_closing_ends_the_thread() -> None:
    found = prefetch(iter(range(100)))
    assert next(found) == 0
    assert threads()
    found.close()
    assert not threads()
