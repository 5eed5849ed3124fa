"""Step 3 of ID pre-training: user and pin ids get vectors."""

from kfp import dsl

from components.step import step


@step
def pretrain_ids(
    events: dsl.Input[list[dsl.Dataset]],
    recipe: str,
    id_embeddings: dsl.Output[dsl.Model],
    metrics: dsl.Output[dsl.Metrics],
    num_gpus: int = 0,
) -> None:
    """Trains the tables of user and pin IDs on the engagements of all sources in the window.

    Args:
        events: the events artifacts of all sources.
        recipe: the whole recipe of ID pre-training, as YAML.
        id_embeddings: the ID embeddings artifact.
        metrics: loss and recall of each epoch without the held-out part, and the loss of each on
            the whole window.
        num_gpus: how many GPUs the step was given, each for a process of its own; with fewer it
            fails before it trains.
    """
    from homefeed.stage import stage

    with stage("pretrain_ids", id_embeddings.metadata):
        from pathlib import Path

        from components.metrics import log_metrics
        from homefeed.gpus import require_gpus
        from homefeed.id_embeddings import pretrain
        from homefeed.id_embeddings.layout import read_training
        from homefeed.id_embeddings.recipe import read_id_recipe

        require_gpus(num_gpus)
        output = Path(id_embeddings.path)
        manifest = pretrain.pretrain_ids(
            [Path(each.path) for each in events],
            read_id_recipe(recipe),
            output,
            num_processes=max(num_gpus, 1),
        )
        id_embeddings.metadata["window"] = str(manifest.window)
        id_embeddings.metadata["embedding_space"] = manifest.details["embedding_space"]
        log_metrics(metrics, read_training(output).as_metrics())
