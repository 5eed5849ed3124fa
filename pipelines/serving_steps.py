"""The steps from a data set and its towers to a release, which every pipeline shares."""

from collections.abc import Mapping
from typing import Any

from kfp import dsl

from components.build_index.component import build_index
from components.bundle_release.component import bundle_release
from components.check_data.component import check_data
from components.deploy_release.component import deploy_release
from components.embed_pins.component import embed_pins
from components.embed_users.component import embed_users
from components.look_at_production.component import look_at_production
from components.materialise_users.component import materialise_users
from components.publish_release.component import publish_release
from components.select_corpus.component import select_corpus
from homefeed.release.redis_connection import DEFAULT_PREFIX
from pipelines.tasks import (
    HOUR,
    MINUTE,
    give_deployer,
    give_redis_password,
    give_store_credentials,
    prepare,
    retry,
)

PINS_PER_SHARD = 500_000
"""Starting a shard's step takes a cluster about 40 s; embedding so many pins takes minutes."""
MAX_SHARDS_AT_ONCE = 4
REDIS_PREFIX = DEFAULT_PREFIX
REDIS_TTL_DAYS = 30


def look(store: str, channel: str) -> dsl.PipelineTask:
    """Looks at the release in production.

    Args:
        store: URL of the release store; may be empty.
        channel: what stands for the release; may be empty.

    Returns:
        The step, whose outputs are its `version`, the `store` that holds it, and the `profile` of
        its data.
    """
    looked = look_at_production(store=store, channel=channel)
    prepare(looked, "Look at the release in production", 30 * MINUTE)
    # Which release the channel stands for is no input.
    looked.set_caching_options(enable_caching=False)
    give_store_credentials(looked)
    retry(looked)
    return looked


def check(
    events: Any, dataset: Any, sections: Mapping[str, Any], previous: Any
) -> dsl.PipelineTask:
    """Checks the data beside those of the release in production.

    Args:
        events: the output of a step that is the events artifact.
        dataset: the output of a step that is the dataset artifact.
        sections: the outputs of the step that read the recipe.
        previous: the output of a step that is the profile of those in production.

    Returns:
        The step, whose output `Output` is the profile of the data.
    """
    checked = check_data(
        events=events, dataset=dataset, config=sections["checks"], previous=previous
    )
    prepare(checked, "Check the data", 2 * HOUR)
    return checked


def make_servable(
    exported: Any,
    dataset: Any,
    sections: Mapping[str, Any],
    pins_per_shard: int,
    profile: Any,
) -> dsl.PipelineTask:
    """Selects the corpus, embeds it and some users, builds the index and bundles the release.

    Args:
        exported: the output of a step that is the exported towers artifact.
        dataset: the output of a step that is the dataset artifact.
        sections: the outputs of the step that read the recipe.
        pins_per_shard: most pins that one step embeds.
        profile: the output of a step that is the profile of the data.

    Returns:
        The step that bundles the release.
    """
    selected = select_corpus(
        dataset=dataset,
        config=sections["corpus"],
        features=sections["features"],
        pins_per_shard=pins_per_shard,
    )
    prepare(selected, "Select the corpus", 2 * HOUR)
    corpus = selected.outputs["corpus"]
    with dsl.ParallelFor(
        selected.outputs["Output"], name="Each shard", parallelism=MAX_SHARDS_AT_ONCE
    ) as shard:
        embedded = embed_pins(exported=exported, corpus=corpus, shard=shard)
        prepare(embedded, "Embed its pins", 6 * HOUR)
        retry(embedded)

    asking = embed_users(
        exported=exported,
        dataset=dataset,
        corpus=corpus,
        config=sections["index"],
        seed=sections["seed"],
    )
    prepare(asking, "Embed a sample of users", HOUR)

    indexed = build_index(
        corpus=corpus,
        embeddings=dsl.Collected(embedded.outputs["embeddings"]),
        users=asking.outputs["users"],
        config=sections["index"],
    )
    prepare(indexed, "Build the index", 6 * HOUR)

    bundled = bundle_release(
        exported=exported,
        corpus=corpus,
        index=indexed.outputs["index"],
        dataset=dataset,
        profile=profile,
    )
    prepare(bundled, "Bundle the release", 2 * HOUR)
    return bundled


def write_users(
    release: Any, redis_url: str, redis_prefix: str, redis_ttl_days: int
) -> dsl.PipelineTask:
    """Writes the release's users to Redis, where one is given.

    It belongs before the step that publishes: pods that take the release then find its users.

    Args:
        release: the output of a step that is the release.
        redis_url: the pipeline's parameter, as are the others.
        redis_prefix: what the keys begin with.
        redis_ttl_days: after which a user that nobody writes again is gone.

    Returns:
        The step.
    """
    written = materialise_users(
        release=release,
        redis_url=redis_url,
        redis_prefix=redis_prefix,
        redis_ttl_days=redis_ttl_days,
    )
    prepare(written, "Write users to Redis", 2 * HOUR)
    # What Redis holds is no input.
    written.set_caching_options(enable_caching=False)
    give_redis_password(written)
    retry(written)
    return written


def publish_and_deploy(
    release: Any, store: str, channel: str, deploy: str, replaces: Any = ""
) -> dsl.PipelineTask:
    """Publishes the release, where a store is given, and deploys it, where that is asked for.

    Args:
        release: the output of a step that is the release.
        store: the pipeline's parameter, as are the next two.
        channel: what then stands for the release.
        deploy: where and how it is deployed, as YAML; empty deploys nothing.
        replaces: the output of a step that is the version which the release was made from.

    Returns:
        The step that publishes; the one that deploys waits for it, and is the last.
    """
    published = publish_release(release=release, store=store, channel=channel, replaces=replaces)
    prepare(published, "Publish the release", 2 * HOUR)
    # What the store holds is no input, so a cached step would not put back what is lost.
    published.set_caching_options(enable_caching=False)
    give_store_credentials(published)
    retry(published)

    deployed = deploy_release(version=published.output, store=store, channel=channel, config=deploy)
    prepare(deployed, "Deploy the release", 30 * MINUTE)
    # Nor is what is served. It is not tried again either: a release that failed is still the same.
    deployed.set_caching_options(enable_caching=False)
    give_store_credentials(deployed)
    give_deployer(deployed)
    return published
