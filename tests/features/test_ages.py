import numpy as np

from homefeed.features.ages import NUM_AGE_BUCKETS, age_buckets


def test_buckets_are_powers_of_two_from_the_newest_on() -> None:
    newest = 1_000_000_000
    ages = np.array([0, 1, 2, 3, 4, 7, 8, 86_400, 2**31])
    expected = [0, 1, 2, 2, 3, 3, 4, 17, 32]
    assert age_buckets(newest - ages).tolist() == expected
    # Whatever the order and the newest.
    assert age_buckets((newest + 5 - ages)[::-1]).tolist() == expected[::-1]


def test_each_power_of_two_starts_a_bucket() -> None:
    powers = 2 ** np.arange(40, dtype=np.int64)
    for offset, expected in ((0, np.arange(1, 41)), (-1, np.arange(40))):
        times = np.append(0, -(powers + offset))
        buckets = age_buckets(times)[1:]
        assert buckets.tolist() == np.minimum(expected, NUM_AGE_BUCKETS - 1).tolist()


def test_rows_are_of_their_own() -> None:
    times = np.array([[50, 40, 20], [7, 7, 6]])
    buckets = age_buckets(times)
    assert buckets.dtype == np.int64
    assert buckets.tolist() == [[0, 4, 5], [0, 0, 1]]
    assert age_buckets(np.zeros((2, 0), np.int64)).shape == (2, 0)
