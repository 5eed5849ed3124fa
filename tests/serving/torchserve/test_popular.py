from hypothesis import given
from hypothesis import strategies as st

from homefeed.release.bundle import Popular
from serving.torchserve.popular import best_popular

POPULAR = Popular(("a", "b", "c", "d"), {"x": ("b", "d"), "y": ("c", "d", "a")})


def test_without_a_filter_the_best_of_all_come_in_order() -> None:
    assert best_popular(POPULAR, 3, (), ()) == ["a", "b", "c"]
    assert best_popular(POPULAR, 9, (), {"b"}) == ["a", "c", "d"]


def test_interests_take_turns_and_no_pin_comes_twice() -> None:
    assert best_popular(POPULAR, 9, ("x",), ()) == ["b", "d"]
    assert best_popular(POPULAR, 9, ("x", "y"), ()) == ["b", "c", "d", "a"]
    assert best_popular(POPULAR, 2, ("x", "x"), ()) == ["b", "d"]
    assert best_popular(POPULAR, 9, ("x", "y") * 5_000, {"c"}) == ["b", "d", "a"]


def test_an_interest_without_a_list_has_no_pins() -> None:
    assert best_popular(POPULAR, 9, ("z",), ()) == []


ids = st.sampled_from([f"p{place}" for place in range(12)])
lists = st.lists(ids, unique=True).map(tuple)


@given(
    st.builds(Popular, lists, st.dictionaries(st.sampled_from("xyz"), lists)),
    st.integers(1, 15),
    st.lists(st.sampled_from("xyz")),
    st.sets(ids),
)
def test_what_is_allowed_comes_once_and_nothing_else(
    popular: Popular, k: int, interests: list[str], exclude: set[str]
) -> None:
    lists = [popular.interests.get(name, ()) for name in interests] or [popular.pins]
    eligible = {pin for each in lists for pin in each} - exclude
    found = best_popular(popular, k, interests, exclude)
    assert len(found) == min(k, len(eligible))
    assert len(set(found)) == len(found)
    assert set(found) <= eligible
