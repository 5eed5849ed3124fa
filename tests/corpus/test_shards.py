import pytest

from homefeed.corpus.shards import MAX_SHARDS, name_shards


@pytest.mark.parametrize(
    ("num_pins", "shards"), [(1, ["1/1"]), (10, ["1/1"]), (11, ["1/2", "2/2"])]
)
def test_shards_are_the_fewest_that_hold_no_more_pins(num_pins: int, shards: list[str]) -> None:
    assert name_shards(num_pins, 10) == shards


def test_shards_are_never_too_many_and_grow_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert len(name_shards(MAX_SHARDS * 10, 10)) == MAX_SHARDS
    assert capsys.readouterr().out == ""
    shards = name_shards(MAX_SHARDS * 10 + 1, 10)
    assert (shards[0], shards[-1]) == (f"1/{MAX_SHARDS}", f"{MAX_SHARDS}/{MAX_SHARDS}")
    said = capsys.readouterr().out
    assert said == (
        "pins_per_shard=10 would make 65 shards of 641 pins: each of 64 shards gets up to 11 "
        "instead\n"
    )


def test_a_shard_without_pins_is_refused() -> None:
    with pytest.raises(ValueError, match="pins_per_shard=0: a shard holds at least 1 pin"):
        name_shards(10, 0)
