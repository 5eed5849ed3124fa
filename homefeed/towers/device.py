"""The device that the towers are trained on."""

import torch


def choose_device(wanted: str) -> torch.device:
    """The device to train on.

    Raises:
        ValueError: a GPU is asked for and torch sees none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"training.device={wanted!r} but torch {torch.__version__} sees no GPU: give the step "
            "an accelerator and the GPU image, or set training.device: cpu"
        )
    return torch.device(wanted)
