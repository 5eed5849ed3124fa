"""Recipes of ID pre-training: a file of one's own, or one that homefeed ships."""

from importlib import resources
from pathlib import Path

from homefeed.config import from_yaml
from homefeed.id_embeddings.config import IdRecipe


def read_id_recipe(recipe: str) -> IdRecipe:
    """Reads a recipe: its YAML, the path of its file, or the name of one that homefeed ships.

    Raises:
        ValueError: no such recipe, or a key or value in it does not fit; names the place.
    """
    # Every recipe's YAML has several lines, no name or path has more than one.
    if "\n" in recipe:
        return from_yaml(recipe, IdRecipe, "the recipe")
    path = Path(recipe)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise ValueError(f"recipe {path} does not exist")
        return from_yaml(path.read_bytes(), IdRecipe, str(path))
    shipped = resources.files("pipelines") / "id_recipes"
    names = sorted(Path(entry.name).stem for entry in shipped.iterdir())
    if recipe not in names:
        raise ValueError(
            f"no recipe {recipe!r} of ID pre-training: shipped ones are {', '.join(names)}; "
            "your own is given as a path that ends in .yaml"
        )
    return from_yaml((shipped / f"{recipe}.yaml").read_bytes(), IdRecipe, recipe)
