"""One process of a training that may break off: `<job folder> <steps, or 0 for all>`."""

import sys
from pathlib import Path

from homefeed.towers.objectives.learner import Inputs
from homefeed.towers.trainer import Trainer
from homefeed.towers.training import main


def break_off_after(num_steps: int) -> None:
    """Ends this process before its so many-th step."""
    num_done = 0
    real_step = Trainer._step

    def step(self: Trainer, inputs: Inputs) -> float:
        nonlocal num_done
        num_done += 1
        if num_done > num_steps:
            raise SystemExit(1)
        return real_step(self, inputs)

    Trainer._step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    if num_steps := int(sys.argv[2]):
        break_off_after(num_steps)
    main(Path(sys.argv[1]))
