"""The pipeline from a fresh log to a new release of the towers in production; trains nothing."""

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.fetch_towers.component import fetch_towers
from components.import_events.component import import_events
from components.read_recipe.component import read_recipe
from components.refresh_dataset.component import refresh_dataset
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
    HOUR,
    RUN_CONFIG,
    give_store_credentials,
    prepare,
    report_at_end,
    retry,
)

NAME = "refresh-corpus"


def build_pipeline() -> GraphComponent:
    """The pipeline, for a cluster or this machine."""

    @dsl.pipeline(name=NAME, display_name="Refresh the corpus", pipeline_config=RUN_CONFIG)
    def refresh_corpus(
        recipe: str,
        store: str,
        channel: str = "production",
        pins_per_shard: int = PINS_PER_SHARD,
        deploy: str = "",
        webhook: str = "",
        redis_url: str = "",
        redis_prefix: str = REDIS_PREFIX,
        redis_ttl_days: int = REDIS_TTL_DAYS,
    ) -> None:
        """From a fresh log to a release with the same towers and embedding space.

        1. Read the recipe: check all of it, cut it into sections, look at the source's state.
        2. Fetch the towers of the release in production; refuse a recipe that does not fit them.
        3. Import events: the source, up to now, becomes engagements, pins, users and signatures.
        4. Make a data set of all of them with the towers' own encoder; nothing is held back. Check
           the data, also beside those of the release in production.
        5. Select the corpus: the pins that can be served, as of the end of the log.
        6. Embed its pins, shard by shard, and beside them a sample of users.
        7. Build the index; one with which these users find too little of what exact search finds
           is refused.
        8. Bundle towers, index and users into one release.
        9. Write its users to Redis, where one is given.
        10. Publish it: the channel stands for it from then on, the release before it stays. Refused
            where another was published meanwhile, whose newer towers the channel would lose.
        11. Deploy it, where that is asked for: upgrade, ask the new pods, roll back on failure.

        However the run ends, its last step reports it. Beside the index's recall nothing is
        measured: all of the log is known to the release, so there is nothing to measure it on.

        Args:
            recipe: the recipe that the towers were trained by: the name of one that homefeed ships,
                or its YAML.
            store: URL of the release store (s3://bucket/path).
            channel: what stands for the release whose towers are taken, and then for the new one.
            pins_per_shard: most pins that one step embeds; more where that would be too many steps.
            deploy: where the release is deployed and how that is tested, as YAML (docs/deploy.md);
                empty deploys nothing.
            webhook: URL that gets a POST with how the run ended; empty for none.
            redis_url: of Redis, without its password (redis://host:6379/0); empty writes no users.
            redis_prefix: what the keys of users begin with in Redis.
            redis_ttl_days: after which a user in Redis that nobody writes again is gone.
        """
        with report_at_end(NAME, webhook, last_step="deploy-release"):
            sections = read_recipe(recipe=recipe, store=store)
            prepare(sections, "Read the recipe", HOUR)
            # The state of the source is looked at in every run, and KFP knows a step by its inputs.
            sections.set_caching_options(enable_caching=False)
            part = sections.outputs

            fetched = fetch_towers(
                store=store, channel=channel, features=part["features"], config=part["dataset"]
            )
            prepare(fetched, "Fetch the towers in production", HOUR)
            # Which release the channel stands for is no input of the step either.
            fetched.set_caching_options(enable_caching=False)
            give_store_credentials(fetched)
            retry(fetched)
            exported = fetched.outputs["exported"]

            imported = import_events(
                config=part["events"], source_fingerprint=part["source_fingerprint"]
            )
            # A recipe that does not fit the towers is refused before the import costs time.
            imported.after(fetched)
            prepare(imported, "Import events", 6 * HOUR)
            retry(imported)

            refreshed = refresh_dataset(events=imported.outputs["events"], exported=exported)
            prepare(refreshed, "Make the data set", 6 * HOUR)

            dataset = refreshed.outputs["dataset"]
            looked = look(store, channel)
            checked = check(imported.outputs["events"], dataset, part, looked.outputs["profile"])

            bundled = make_servable(
                exported,
                dataset,
                part,
                pins_per_shard,
                checked.outputs["Output"],
            )

            written = write_users(
                bundled.outputs["release"], redis_url, redis_prefix, redis_ttl_days
            )
            published = publish_and_deploy(
                bundled.outputs["release"], store, channel, deploy, fetched.outputs["version"]
            )
            published.after(written)

    return refresh_corpus
