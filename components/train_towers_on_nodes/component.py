"""Step 5, on several nodes: the towers are trained by a TrainJob of Kubeflow Trainer."""

from kfp import dsl

from components.step import step


@step
def train_towers_on_nodes(
    dataset: dsl.Input[dsl.Dataset],
    config: str,
    training: str,
    seed: int,
    towers: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    num_nodes: int,
    num_gpus: int,
    gpu_type: str,
    image: str,
    timeout_seconds: float,
    ids: str = "",
    store: str = "",
) -> None:
    """Lets the pods of a TrainJob train the user and the pin tower, and waits for them.

    Args:
        dataset: the dataset artifact.
        config: the recipe's towers section, as YAML.
        training: the recipe's training section, as YAML.
        seed: of weights, order and negatives.
        towers: the towers artifact.
        metrics: the best epoch's validation metrics.
        num_nodes: pods that train together, each on a node of its own.
        num_gpus: of each; 0 trains on the CPU.
        gpu_type: the cluster's name of the resource.
        image: of the pods.
        timeout_seconds: that the training may take.
        ids: version of the ID embeddings to use; empty for none.
        store: URL of the store that these lie in.
    """
    from homefeed.stage import stage

    with stage("train_towers_on_nodes", towers.metadata):
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.id_embeddings.store import fetch_ids
        from homefeed.towers.config import TowersConfig, TrainingConfig
        from homefeed.towers.job import Job
        from homefeed.towers.layout import read_training
        from homefeed.training_job import launch
        from homefeed.training_job.config import NodesConfig

        nodes = NodesConfig(
            num_nodes=num_nodes,
            num_gpus=num_gpus,
            gpu_type=gpu_type,
            image=image,
            timeout_seconds=timeout_seconds,
        )
        job = Job(
            towers=from_yaml(config, TowersConfig, "towers"),
            training=from_yaml(training, TrainingConfig, "training"),
            seed=seed,
        )
        with TemporaryDirectory() as scratch:
            found = fetch_ids(store, ids, Path(scratch))
            launch.train_in_this_cluster(Path(dataset.path), found, job, nodes, Path(towers.path))
        done = read_training(Path(towers.path))
        log_metrics(metrics, done.epochs[done.best_epoch - 1].validation)
