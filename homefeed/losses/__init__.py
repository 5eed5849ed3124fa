"""What is minimised: pure functions of vectors, for towers and ID embeddings alike."""

from homefeed.losses.full_softmax import full_softmax
from homefeed.losses.sampled_softmax import sampled_softmax
from homefeed.losses.square import scaled_l2, square

__all__ = ["full_softmax", "sampled_softmax", "scaled_l2", "square"]
