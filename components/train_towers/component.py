"""Step 5: the towers are trained."""

from kfp import dsl

from components.step import step


@step
def train_towers(
    dataset: dsl.Input[dsl.Dataset],
    config: str,
    training: str,
    seed: int,
    towers: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    ids: str = "",
    store: str = "",
    checkpoints: str = "",
    num_gpus: int = 0,
) -> None:
    """Trains the user and the pin tower until validation gets no better.

    Args:
        dataset: the dataset artifact.
        config: the recipe's towers section, as YAML.
        training: the recipe's training section, as YAML.
        seed: of weights, order and negatives.
        towers: the towers artifact.
        metrics: the best epoch's validation metrics.
        ids: version of the ID embeddings to use; empty for none.
        store: URL of the store that these lie in.
        checkpoints: a folder that outlives the step, from which an interrupted training goes on;
            empty for none.
        num_gpus: how many GPUs the step was given; with fewer it fails before it trains.
    """
    from homefeed.stage import stage

    with stage("train_towers", towers.metadata):
        from pathlib import Path
        from tempfile import TemporaryDirectory

        from components.metrics import log_metrics
        from homefeed.config import from_yaml
        from homefeed.gpus import require_gpus
        from homefeed.id_embeddings.store import fetch_ids
        from homefeed.towers.config import TowersConfig, TrainingConfig
        from homefeed.towers.job import Job
        from homefeed.towers.layout import read_training
        from homefeed.towers.several import train_in_processes
        from homefeed.towers.train import train_towers

        require_gpus(num_gpus)
        job = Job(
            towers=from_yaml(config, TowersConfig, "towers"),
            training=from_yaml(training, TrainingConfig, "training"),
            seed=seed,
        )
        data, output = Path(dataset.path), Path(towers.path)
        saved = Path(checkpoints) if checkpoints else None
        with TemporaryDirectory() as scratch:
            found = fetch_ids(store, ids, Path(scratch))
            if num_gpus > 1:
                train_in_processes(job, data, output, num_gpus, saved, found)
            else:
                train_towers(data, job.towers, job.training, seed, output, saved, found)
        found = read_training(Path(towers.path))
        log_metrics(metrics, found.epochs[found.best_epoch - 1].validation)
