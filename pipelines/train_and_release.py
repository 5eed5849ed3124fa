"""The pipeline from a raw engagement log to a measured release, for a cluster and this machine."""

from typing import NamedTuple

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.build_dataset.component import build_dataset
from components.check_not_worse.component import check_not_worse
from components.check_online_skew.component import check_online_skew
from components.choose_ids.component import choose_ids
from components.evaluate_release.component import evaluate_release
from components.export_towers.component import export_towers
from components.image import CUDA_IMAGE, IMAGE
from components.import_events.component import import_events
from components.read_recipe.component import read_recipe
from components.train_towers.component import train_towers
from components.train_towers_on_nodes.component import train_towers_on_nodes
from pipelines.serving_steps import (
    PINS_PER_SHARD,
    REDIS_PREFIX,
    REDIS_TTL_DAYS,
    check,
    look,
    make_servable,
    publish_and_deploy,
    write_users,
)
from pipelines.tasks import (
    GPU,
    HOUR,
    RUN_CONFIG,
    equip_launcher,
    equip_training,
    give_store_credentials,
    look_into,
    prepare,
    report_at_end,
    retry,
)


class ReleaseSteps(NamedTuple):
    """The steps that a pipeline puts its own before or after."""

    trained: dsl.PipelineTask
    bundled: dsl.PipelineTask
    accepted: dsl.PipelineTask


def build_pipeline(num_gpus: int = 0, gpu_type: str = GPU, num_nodes: int = 1) -> GraphComponent:
    """The pipeline with so many GPUs for training, a number that KFP wants when it compiles.

    Args:
        num_gpus: of each node; 0 trains on the CPU.
        gpu_type: the cluster's name of the resource.
        num_nodes: that train together; with more than 1 the cluster needs Kubeflow Trainer.
    """
    places = ["GPU"] * (num_gpus > 0) + ["nodes"] * (num_nodes > 1)
    name = "-".join(["train-and-release", *places]).lower()

    @dsl.pipeline(
        name=name,
        display_name="Train and release" + (f" ({', '.join(places)})" if places else ""),
        pipeline_config=RUN_CONFIG,
    )
    def train_and_release(
        recipe: str,
        pins_per_shard: int = PINS_PER_SHARD,
        store: str = "",
        channel: str = "production",
        deploy: str = "",
        webhook: str = "",
        redis_url: str = "",
        redis_prefix: str = REDIS_PREFIX,
        redis_ttl_days: int = REDIS_TTL_DAYS,
    ) -> None:
        """From an engagement log to a measured release, and on into the release store.

        1. Read the recipe: check all of it, cut it into sections, look at the source's state.
           Beside it, look into the store: nothing is trained that could not be published.
        2. Import events: the source becomes engagements, pins, users and signatures.
        3. Build the data set: splits, point-in-time histories, the fitted encoder. Check the data,
           also beside those of the release in production: nothing is trained on unfit ones.
        4. Choose the latest ID embeddings of before the training part, where the recipe uses any.
        5. Train the towers.
        6. Export them to TorchScript and check that they still say the same.
        7. Select the corpus: the pins that can be served. Refuse one that gives the pin tower
           other numbers than it was trained on.
        8. Embed its pins, shard by shard; beside them a sample of users, as known at serving time.
        9. Build the index, and measure with those users what it finds of what exact search finds.
        10. Bundle towers, index and users into one release. Refuse one that encodes users in
            another way than the training did.
        11. Evaluate the release beside popularity, EASE and the release in production, with a
            report.
        12. Compare it with the one in production: refuse one that is worse.
        13. Write its users to Redis, where one is given.
        14. Publish the release into the release store, where one is given.
        15. Deploy it, where that is asked for: upgrade, ask the new pods, roll back on failure.

        However the run ends, its last step reports it.

        Args:
            recipe: the name of a recipe that homefeed ships, or a recipe's YAML.
            pins_per_shard: most pins that one step embeds; more where that would be too many steps.
            store: URL of the release store (s3://bucket/path), from which ID embeddings are taken
                too; empty publishes nothing.
            channel: what stands for the release in production, and then for this one.
            deploy: where the release is deployed and how that is tested, as YAML (docs/deploy.md);
                empty deploys nothing.
            webhook: URL that gets a POST with how the run ended; empty for none.
            redis_url: of Redis, without its password (redis://host:6379/0); empty writes no users.
            redis_prefix: what the keys of users begin with in Redis.
            redis_ttl_days: after which a user in Redis that nobody writes again is gone.
        """
        with report_at_end(name, webhook, last_step="deploy-release"):
            looked = look_into(store)
            # A folder of checkpoints would have to outlive the training's pod, and none does.
            made = make_release(
                recipe, store, "", pins_per_shard, num_gpus, gpu_type, num_nodes, channel
            )
            made.trained.after(looked)
            written = write_users(
                made.bundled.outputs["release"], redis_url, redis_prefix, redis_ttl_days
            )
            written.after(made.accepted)
            published = publish_and_deploy(made.bundled.outputs["release"], store, channel, deploy)
            published.after(written)

    return train_and_release


def make_release(
    recipe: str,
    store: str,
    checkpoints: str,
    pins_per_shard: int,
    num_gpus: int = 0,
    gpu_type: str = GPU,
    num_nodes: int = 1,
    channel: str = "",
) -> ReleaseSteps:
    """Steps 1 to 12, of a pipeline that is being defined; it may be one of this machine alone.

    Args:
        recipe: as for the pipeline.
        store: URL of the store with ID embeddings, and with the release in production; empty where
            neither is used.
        checkpoints: a folder that outlives the training step, from which an interrupted training
            goes on; empty for none. Several nodes have one of their own.
        pins_per_shard: most pins that one step embeds.
        num_gpus: of the training step, or of each node.
        gpu_type: the cluster's name of the resource.
        num_nodes: that train together.
        channel: what stands for the release in production, with which this one and its data are
            compared; empty compares with none.
    """
    sections = read_recipe(recipe=recipe, store=store)
    prepare(sections, "Read the recipe", HOUR)
    # The state of the source is looked at in every run, and KFP knows a step by its inputs.
    sections.set_caching_options(enable_caching=False)
    part = sections.outputs

    imported = import_events(config=part["events"], source_fingerprint=part["source_fingerprint"])
    prepare(imported, "Import events", 6 * HOUR)
    retry(imported)

    built = build_dataset(
        events=imported.outputs["events"],
        config=part["dataset"],
        features=part["features"],
        seed=part["seed"],
    )
    prepare(built, "Build the data set", 6 * HOUR)
    dataset = built.outputs["dataset"]

    production = look(store, channel).outputs
    checked = check(imported.outputs["events"], dataset, part, production["profile"])

    chosen = choose_ids(dataset=dataset, config=part["towers"], store=store)
    prepare(chosen, "Choose the ID embeddings", HOUR)
    # What the store holds by now is no input.
    chosen.set_caching_options(enable_caching=False)
    give_store_credentials(chosen)
    retry(chosen)

    what = {
        "dataset": dataset,
        "ids": chosen.outputs["version"],
        "store": chosen.outputs["store"],
        "config": part["towers"],
        "training": part["training"],
        "seed": part["seed"],
    }
    if num_nodes > 1:
        trained = train_towers_on_nodes(
            **what,
            num_nodes=num_nodes,
            num_gpus=num_gpus,
            gpu_type=gpu_type,
            image=CUDA_IMAGE if num_gpus else IMAGE,
            # The step's own 24 hours hold the way of the data to and from the nodes too.
            timeout_seconds=22.0 * HOUR,
        )
    else:
        trained = train_towers(**what, checkpoints=checkpoints, num_gpus=num_gpus)
    trained.after(checked)
    prepare(trained, "Train the towers", 24 * HOUR)
    retry(trained)
    give_store_credentials(trained)
    if num_nodes > 1:
        equip_launcher(trained)
    else:
        equip_training(trained, num_gpus, gpu_type)
    towers = trained.outputs["towers"]

    plain = export_towers(towers=towers)
    prepare(plain, "Export the towers", HOUR)

    bundled = make_servable(
        plain.outputs["exported"],
        dataset,
        part,
        pins_per_shard,
        checked.outputs["Output"],
    )
    compared = check_online_skew(
        dataset=dataset, release=bundled.outputs["release"], config=part["online_skew"]
    )
    prepare(compared, "Compare serving and training", 2 * HOUR)

    evaluated = evaluate_release(
        release=bundled.outputs["release"],
        dataset=dataset,
        towers=towers,
        config=part["evaluation"],
        seed=part["seed"],
        production=production["version"],
        store=production["store"],
    )
    evaluated.after(compared)
    prepare(evaluated, "Evaluate the release", 6 * HOUR)
    give_store_credentials(evaluated)
    retry(evaluated)

    accepted = check_not_worse(
        evaluation=evaluated.outputs["evaluation"], config=part["evaluation"]
    )
    prepare(accepted, "Compare with the release in production", HOUR)
    # A gate that has let something pass is asked again all the same.
    accepted.set_caching_options(enable_caching=False)
    return ReleaseSteps(trained, bundled, accepted)
