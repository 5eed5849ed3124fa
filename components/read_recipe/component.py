"""Step 1: the recipe, checked and cut into its sections."""

from typing import NamedTuple

from components.step import step


@step
def read_recipe(
    recipe: str,
    store: str,
) -> NamedTuple(  # pyrefly: ignore[invalid-annotation]
    "Sections",
    [
        ("events", str),
        ("features", str),
        ("dataset", str),
        ("checks", str),
        ("towers", str),
        ("training", str),
        ("corpus", str),
        ("index", str),
        ("online_skew", str),
        ("evaluation", str),
        ("seed", int),
        ("source_fingerprint", str),
    ],
):
    """Checks the whole recipe, and looks at its source, before anything costs time.

    Each section goes to the stages that need it: KFP caches a step by its inputs, so a change of
    one section runs again only what depends on it.

    Args:
        recipe: the name of a recipe that homefeed ships, or a recipe's YAML.
        store: URL of the store that ID embeddings are taken from; may be empty where none are used.
    """
    from homefeed.stage import stage

    with stage("read_recipe"):
        from homefeed import recipe as recipes
        from homefeed.config import from_yaml, to_yaml
        from homefeed.events.importing import source_fingerprint
        from homefeed.towers.choose_ids import require_store

        # Every recipe has a colon, no name has one.
        if ":" in recipe:
            parsed = from_yaml(recipe, recipes.Recipe, "the recipe")
        else:
            parsed = recipes.read_recipe(recipe)
        require_store(parsed.towers, store)
        return (
            to_yaml(parsed.events),
            to_yaml(parsed.features),
            to_yaml(parsed.dataset),
            to_yaml(parsed.checks),
            to_yaml(parsed.towers),
            to_yaml(parsed.training),
            to_yaml(parsed.corpus),
            to_yaml(parsed.index),
            to_yaml(parsed.online_skew),
            to_yaml(parsed.evaluation),
            parsed.seed,
            source_fingerprint(parsed.events),
        )
