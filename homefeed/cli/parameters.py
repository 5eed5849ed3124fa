"""A pipeline's parameters as they are given on the command line."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kfp.dsl.graph_component import GraphComponent

from homefeed.config import Config, from_yaml, to_yaml
from homefeed.deployment.config import DeploymentConfig
from homefeed.id_embeddings.recipe import read_id_recipe
from homefeed.recipe import read_recipe

RECIPE = "recipe"
DEPLOY = "deploy"
READERS: dict[str, Callable[[str], Config]] = {
    "train_and_release": read_recipe,
    "refresh_corpus": read_recipe,
    "pretrain_ids": read_id_recipe,
}
"""How the recipe of each pipeline is read."""
PARSE = {
    "Integer": (int, "a whole number"),
    "String": (str, "text"),
}
"""KFP's types, with how a value is read and what it is called."""
MAX_BYTES = 20_000
"""Of all parameters together, as JSON: KFP refuses larger ones, see kubeflow/pipelines#12519."""


def read_parameters(
    name: str, pipeline: GraphComponent, given: Sequence[str], recipe: str | None
) -> dict[str, Any]:
    """Checks the parameters of a run against those of its pipeline.

    Args:
        name: of the pipeline.
        pipeline: what they are for.
        given: each as "name=value".
        recipe: the parameter of that name: a shipped recipe's name, or a file's path.

    Returns:
        Name to value, of the pipeline's types.

    Raises:
        ValueError: one is unknown, missing or of another type, the recipe or the deployment cannot
            be used, or all together are larger than KFP takes.
    """
    known = pipeline.component_spec.inputs or {}
    texts = [] if recipe is None else [f"{RECIPE}={recipe}"]
    values: dict[str, Any] = {}
    for text in [*texts, *given]:
        parameter, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--param {text!r} is not of the form name=value")
        if parameter not in known:
            raise ValueError(f"{name} has no parameter {parameter!r}: it takes {', '.join(known)}")
        if parameter in values:
            raise ValueError(f"{name} is given its parameter {parameter!r} twice")
        if parameter == RECIPE:
            values[parameter] = _recipe_text(value, READERS[name])
        elif parameter == DEPLOY and value:
            from_yaml(value, DeploymentConfig, f"--param {DEPLOY}")
            values[parameter] = value
        else:
            values[parameter] = _parse(parameter, value, known)
    missing = [each for each in known if not known[each].optional and each not in values]
    if missing:
        options = [
            "--recipe NAME|FILE" if each == RECIPE else f"--param {each}=…" for each in missing
        ]
        raise ValueError(f"{name} also needs {' and '.join(options)}")
    if (num_bytes := _json_bytes(values)) > MAX_BYTES:
        raise ValueError(
            f"the parameters of {name} take {num_bytes} bytes as JSON, of which the recipe takes "
            f"{_json_bytes(values[RECIPE])}; KFP takes {MAX_BYTES} in all: shorten the recipe, or "
            "ship it in images of your own and give its name"
        )
    return values


def _parse(name: str, text: str, known: Mapping[str, Any]) -> Any:
    parse, wanted = PARSE[known[name].type]
    try:
        return parse(text)
    except ValueError:
        raise ValueError(f"--param {name}={text}: {name} is {wanted}") from None


def _json_bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


def _recipe_text(recipe: str, read: Callable[[str], Config]) -> str:
    """A shipped recipe's name as it is, which the image holds too; of a file all of it."""
    text = to_yaml(read(recipe))
    return text if recipe.endswith((".yaml", ".yml")) else recipe
