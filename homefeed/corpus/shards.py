"""How a corpus is cut into shards, each of which one step embeds."""

MAX_SHARDS = 64
"""A cluster takes about 40 s to start each shard's step, and shows each in its interface."""


def name_shards(num_pins: int, pins_per_shard: int) -> list[str]:
    """The shards of a corpus, the fewest that hold no more pins than asked for, up to `MAX_SHARDS`.

    Args:
        num_pins: of the corpus.
        pins_per_shard: most pins of a shard; more where there would be too many shards.

    Returns:
        Which one of how many: "1/3", "2/3", "3/3".

    Raises:
        ValueError: a shard is to hold no pin.
    """
    if pins_per_shard < 1:
        raise ValueError(f"pins_per_shard={pins_per_shard}: a shard holds at least 1 pin")
    num_shards = -(-num_pins // pins_per_shard)
    if num_shards > MAX_SHARDS:
        print(
            f"pins_per_shard={pins_per_shard:,} would make {num_shards:,} shards of {num_pins:,} "
            f"pins: each of {MAX_SHARDS} shards gets up to {-(-num_pins // MAX_SHARDS):,} instead"
        )
        num_shards = MAX_SHARDS
    return [f"{shard}/{num_shards}" for shard in range(1, num_shards + 1)]
