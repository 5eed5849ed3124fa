"""One process of a training that may break off: `JOB STEPS SIGNAL`.

Before its so many-th step each process ends or, where a signal is named, the second one gets it;
0 for never.
"""

import os
import signal
import sys
from pathlib import Path

from homefeed.towers.objectives.learner import Inputs
from homefeed.towers.trainer import Trainer
from homefeed.towers.training import main


def break_off_after(num_steps: int, name: str) -> None:
    """Ends this process before its so many-th step, or sends it a signal where it is the second."""
    num_done = 0
    real_step = Trainer._step

    def step(self: Trainer, inputs: Inputs) -> float:
        nonlocal num_done
        num_done += 1
        if num_done > num_steps and not name:
            raise SystemExit(1)
        if num_done > num_steps and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.Signals[name])
        return real_step(self, inputs)

    Trainer._step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    if num_steps := int(sys.argv[2]):
        break_off_after(num_steps, sys.argv[3])
    main(Path(sys.argv[1]))
