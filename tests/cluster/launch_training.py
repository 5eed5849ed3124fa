"""Trains on nodes from a pod, as a step does: `launch_training.py JOB NODES DATASET TOWERS`.

JOB and NODES are JSON. The step of the pipeline does the same; what it cannot be told is how little
the pods of a small training ask for, and how soon to give up on them.
"""

import sys
from pathlib import Path

from homefeed.config import from_yaml
from homefeed.stage import stage
from homefeed.towers.job import Job
from homefeed.training_job.config import NodesConfig
from homefeed.training_job.launch import train_in_this_cluster


def main(job: str, nodes: str, dataset: str, towers: str) -> None:
    with stage("train_towers_on_nodes"):
        asked, config = from_yaml(job, Job, "JOB"), from_yaml(nodes, NodesConfig, "NODES")
        train_in_this_cluster(Path(dataset), None, asked, config, Path(towers))


if __name__ == "__main__":
    main(*sys.argv[1:])
