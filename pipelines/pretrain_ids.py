"""The pipeline from engagements of several surfaces to published ID embeddings."""

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.import_events.component import import_events
from components.pretrain_ids.component import pretrain_ids as train_tables
from components.publish_ids.component import publish_ids
from components.read_id_recipe.component import read_id_recipe
from pipelines.tasks import (
    GPU,
    HOUR,
    RUN_CONFIG,
    equip_training,
    give_store_credentials,
    look_into,
    prepare,
    report_at_end,
    retry,
)

MAX_SOURCES_AT_ONCE = 4


def build_pipeline(num_gpus: int = 0, gpu_type: str = GPU) -> GraphComponent:
    """The pipeline with so many GPUs for training, a number that KFP wants when it compiles.

    Args:
        num_gpus: of one node; 0 trains on the CPU, and of several each has a process and a part of
            the tables.
        gpu_type: the cluster's name of the resource.
    """
    name = "pretrain-ids-gpu" if num_gpus else "pretrain-ids"

    @dsl.pipeline(
        name=name,
        display_name="Pre-train IDs" + (" (GPU)" if num_gpus else ""),
        pipeline_config=RUN_CONFIG,
    )
    def pretrain_ids(recipe: str, store: str = "", webhook: str = "") -> None:
        """From engagements of several surfaces to published ID embeddings.

        The towers do not read them yet.

        1. Read the recipe: check all of it, look at the state of its sources. Beside it, look into
           the store: nothing is trained that could not be published.
        2. Import events of each source: it becomes engagements, pins, users and signatures.
        3. Pre-train the IDs: tables of users and pins, on the window's engagements of all sources.
        4. Publish the tables into the store, where one is given.

        However the run ends, its last step reports it.

        Args:
            recipe: the name of a recipe of ID pre-training that homefeed ships, or a recipe's YAML.
            store: URL of the store (s3://bucket/path), the same as the releases'; empty publishes
                nothing.
            webhook: URL that gets a POST with how the run ended; empty for none.
        """
        with report_at_end(name, webhook, last_step="publish-ids"):
            looked = look_into(store)
            checked = read_id_recipe(recipe=recipe)
            prepare(checked, "Read the recipe", HOUR)
            # The state of the sources is looked at in every run: KFP knows a step by its inputs.
            checked.set_caching_options(enable_caching=False)

            with dsl.ParallelFor(
                checked.outputs["Output"], name="Each source", parallelism=MAX_SOURCES_AT_ONCE
            ) as source:
                imported = import_events(
                    config=source.events, source_fingerprint=source.fingerprint
                )
                prepare(imported, "Import its events", 6 * HOUR)
                retry(imported)

            trained = train_tables(
                events=dsl.Collected(imported.outputs["events"]),
                recipe=checked.outputs["recipe"],
                num_gpus=num_gpus,
            )
            trained.after(looked)
            prepare(trained, "Pre-train the IDs", 24 * HOUR)
            retry(trained)
            equip_training(trained, num_gpus, gpu_type)

            published = publish_ids(id_embeddings=trained.outputs["id_embeddings"], store=store)
            prepare(published, "Publish the tables", 2 * HOUR)
            # What the store holds is no input, so a cached step would not put back what is lost.
            published.set_caching_options(enable_caching=False)
            give_store_credentials(published)
            retry(published)

    return pretrain_ids
