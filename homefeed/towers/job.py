"""What the processes of a training on several nodes find: one folder that all nodes see.

Beside `job.json` it has the inputs, each artifact in a folder of its own, and gets the checkpoints
and the towers artifact.
"""

from homefeed.config import Config
from homefeed.towers.config import TowersConfig, TrainingConfig

JOB_FILE = "job.json"
DATASET_FOLDER = "dataset"
IDS_FOLDER = "ids"
"""The ID embeddings; absent where the towers use none."""
CHECKPOINTS_FOLDER = "checkpoints"
TOWERS_FOLDER = "towers"


class Job(Config, frozen=True):
    """What is to be trained, as JSON in `job.json`."""

    towers: TowersConfig
    training: TrainingConfig
    seed: int
