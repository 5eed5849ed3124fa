"""Step 1 of ID pre-training: the recipe, checked, and its sources one by one."""

from typing import NamedTuple

from components.step import step


@step
def read_id_recipe(
    recipe: str,
) -> NamedTuple(  # pyrefly: ignore[invalid-annotation]
    "Checked",
    # kfp.local loops over no output of another name than this.
    [("recipe", str), ("Output", list)],
):
    """Checks the whole recipe, and looks at its sources, before anything costs time.

    Args:
        recipe: the name of a recipe of ID pre-training that homefeed ships, or a recipe's YAML.

    Returns:
        The whole recipe as YAML; and of each source its events section, as YAML, with a
        fingerprint of its data.
    """
    from homefeed.stage import stage

    with stage("read_id_recipe"):
        from homefeed.config import to_yaml
        from homefeed.events.importing import source_fingerprint
        from homefeed.id_embeddings import recipe as recipes

        parsed = recipes.read_id_recipe(recipe)
        sources = [
            {"events": to_yaml(each.events), "fingerprint": source_fingerprint(each.events)}
            for each in parsed.sources
        ]
        return to_yaml(parsed), sources
