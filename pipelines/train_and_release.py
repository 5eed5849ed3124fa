"""The pipeline from a raw engagement log to a measured release, for a cluster and this machine."""

from kfp import dsl, kubernetes
from kfp.dsl.graph_component import GraphComponent

from components.build_dataset.component import build_dataset
from components.build_index.component import build_index
from components.bundle_release.component import bundle_release
from components.embed_pins.component import embed_pins
from components.evaluate_release.component import evaluate_release
from components.export_towers.component import export_towers
from components.import_events.component import import_events
from components.read_recipe.component import read_recipe
from components.select_corpus.component import select_corpus
from components.train_towers.component import train_towers

PINS_PER_SHARD = 500_000
"""Starting a step takes a cluster about 20 s; embedding so many pins takes minutes."""
MAX_SHARDS_AT_ONCE = 4
TRAINING_CPU = "1"
TRAINING_MEMORY = "4Gi"
"""Requests without limits: training starts on small nodes, and takes what is free on large ones."""
SHARED_MEMORY = "2Gi"
"""Of training's /dev/shm, where processes hand tensors over; a container has 64 MB by itself."""
GPU = "nvidia.com/gpu"


def build_pipeline(num_gpus: int) -> GraphComponent:
    """The pipeline with so many GPUs for training, a number that KFP wants when it compiles."""

    @dsl.pipeline(name="train-and-release-gpu" if num_gpus else "train-and-release")
    def train_and_release(
        recipe: str, checkpoints: str = "", pins_per_shard: int = PINS_PER_SHARD
    ) -> None:
        """From an engagement log to a measured release.

        1. Read the recipe: check all of it, cut it into sections, look at the source's state.
        2. Import events: the source becomes engagements, pins, users and signatures.
        3. Build the data set: splits, point-in-time histories, the fitted encoder.
        4. Train the towers.
        5. Export them to TorchScript and check that they still say the same.
        6. Select the corpus: the pins that can be served.
        7. Embed its pins, shard by shard.
        8. Build the index.
        9. Bundle towers, index and users into one release.
        10. Evaluate the release beside popularity and EASE, with a report.

        Args:
            recipe: the name of a recipe that homefeed ships, or a recipe's YAML.
            checkpoints: a folder that outlives the training step, from which an interrupted
                training goes on; empty for none.
            pins_per_shard: most pins that one step embeds.
        """
        sections = read_recipe(recipe=recipe)
        # The state of the source is looked at in every run, and KFP knows a step by its inputs.
        sections.set_caching_options(enable_caching=False)
        part = sections.outputs

        imported = import_events(
            config=part["events"], source_fingerprint=part["source_fingerprint"]
        )
        _retry(imported)
        events = imported.outputs["events"]
        dataset = build_dataset(
            events=events, config=part["dataset"], features=part["features"], seed=part["seed"]
        ).outputs["dataset"]

        training = train_towers(
            dataset=dataset,
            config=part["towers"],
            training=part["training"],
            seed=part["seed"],
            checkpoints=checkpoints,
        )
        _retry(training)
        _equip_training(training, num_gpus)
        towers = training.outputs["towers"]
        exported = export_towers(towers=towers).outputs["exported"]

        selection = select_corpus(
            dataset=dataset,
            config=part["corpus"],
            features=part["features"],
            pins_per_shard=pins_per_shard,
        )
        corpus = selection.outputs["corpus"]
        with dsl.ParallelFor(selection.outputs["Output"], parallelism=MAX_SHARDS_AT_ONCE) as shard:
            embedding = embed_pins(exported=exported, corpus=corpus, shard=shard)
            _retry(embedding)
        index = build_index(
            corpus=corpus,
            embeddings=dsl.Collected(embedding.outputs["embeddings"]),
            config=part["index"],
        ).outputs["index"]

        release = bundle_release(
            exported=exported, corpus=corpus, index=index, dataset=dataset
        ).outputs["release"]
        evaluate_release(
            release=release,
            dataset=dataset,
            towers=towers,
            config=part["evaluation"],
            seed=part["seed"],
        )

    return train_and_release


def _retry(task: dsl.PipelineTask) -> None:
    """For steps that read over a network, or run long on nodes that may be taken away."""
    task.set_retry(
        num_retries=2, backoff_duration="30s", backoff_factor=2, backoff_max_duration="300s"
    )


def _equip_training(task: dsl.PipelineTask, num_gpus: int) -> None:
    task.set_cpu_request(TRAINING_CPU)
    task.set_memory_request(TRAINING_MEMORY)
    kubernetes.empty_dir_mount(
        task,
        volume_name="shared-memory",
        mount_path="/dev/shm",
        medium="Memory",
        size_limit=SHARED_MEMORY,
    )
    if num_gpus:
        task.set_accelerator_type(GPU)
        task.set_accelerator_limit(num_gpus)


train_and_release = build_pipeline(num_gpus=0)
train_and_release_gpu = build_pipeline(num_gpus=1)
