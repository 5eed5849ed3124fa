"""Writes the reference of every key of both kinds of recipe from the configuration structs.

Run it as `python -m homefeed.cli.reference docs/recipes.md`.
"""

import ast
import inspect
import sys
from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from homefeed.config import Config
from homefeed.id_embeddings.config import IdRecipe
from homefeed.recipe import Recipe

HEAD = """\
# Recipes
A recipe is one YAML file that says all of a run. `homefeed run my-recipe.yaml` runs it; the ones in
`pipelines/recipes/` are run by name. A key that does not exist, or a value of another type, is
refused with its place. What a mapping holds is in the table under its name.

ID pre-training has [recipes of its own](#recipes-of-id-pre-training).

`make generate` writes this page from the code.
"""
ID_HEAD = """\
# Recipes of ID pre-training
What the pipeline `pretrain_ids` is told, in the same way; the ones in `pipelines/id_recipes/` are
run by name. The `events` of a source are the section of that name above.
"""
COLUMNS = ("key", "value", "default", "meaning")
WORDS = {
    str: "text",
    int: "integer",
    float: "number",
    bool: "true or false",
    datetime: "time with its zone, as `2000-11-01T00:00:00Z`",
    NoneType: "null",
}


def format_reference() -> str:
    """The whole page."""
    lines = []
    described: set[type[Config]] = set()
    for head, recipe in ((HEAD, Recipe), (ID_HEAD, IdRecipe)):
        plain = [field for field in msgspec.structs.fields(recipe) if not _configs(field.type)]
        lines.append(head)
        lines += _table(_row(recipe, field) for field in plain)
        lines += _sections(recipe, "", described)
    return "\n".join(lines).rstrip() + "\n"


def _sections(parent: type[Config], path: str, described: set[type[Config]]) -> Iterator[str]:
    """Headings and tables of all that lies below a config; keys of the same kinds share theirs.

    Args:
        parent: the config.
        path: of its keys, with a dot at its end where it is not empty.
        described: configs that have their table already; gets those that follow.
    """
    names: dict[tuple[type[Config], ...], list[str]] = {}
    for field in msgspec.structs.fields(parent):
        if configs := _configs(field.type):
            names.setdefault(tuple(configs), []).append(f"{path}{field.name}")
    for configs, paths in names.items():
        for config in configs:
            if config in described:
                continue
            described.add(config)
            about = config.__struct_config__
            variant = f" with `{about.tag_field}: {about.tag}`" if about.tag else ""
            yield f"## {' and '.join(f'`{each}`' for each in paths)}{variant}\n"
            yield f"{inspect.getdoc(config)}\n"
            yield from _table(_row(config, field) for field in msgspec.structs.fields(config))
            yield from _sections(config, f"{paths[0]}.", described)


def _table(rows: Iterator[list[str]]) -> Iterator[str]:
    for row in (COLUMNS, ["---"] * len(COLUMNS), *rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
    yield ""


def _row(config: type[Config], field: msgspec.structs.FieldInfo) -> list[str]:
    kind = _words(field.type)
    return [f"`{field.name}`", kind, _default(field), _meanings(config).get(field.name, "")]


def _configs(kind: Any) -> list[type[Config]]:
    """The configs among the alternatives of a type, or of the elements of a list."""
    if isinstance(kind, type) and issubclass(kind, Config):
        return [kind]
    return [config for each in get_args(kind) for config in _configs(each)]


def _words(kind: Any) -> str:
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _words(parts[0])
    if origin is not tuple and _configs(kind):
        return "mapping"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in parts)
    if origin in (Union, UnionType):
        return " or ".join(map(_words, parts))
    if origin is tuple:
        return f"list of {_words(parts[0])}"
    if origin is dict:
        return f"map of {_words(parts[0])} to {_words(parts[1])}"
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return " or ".join(f"`{value}`" for value in kind)
    return WORDS[kind]


def _default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default
    if field.default_factory is not NODEFAULT:
        value = field.default_factory()
    if value is NODEFAULT:
        return "required"
    if isinstance(value, Config):
        about = value.__struct_config__
        return f"`{about.tag_field}: {about.tag}`" if about.tag else ""
    return f"`{msgspec.json.encode(value).decode()}`"


def _meanings(config: type[Config]) -> dict[str, str]:
    """The string below each field, which Python itself does not keep."""
    (declared,) = ast.parse(inspect.getsource(config)).body
    assert isinstance(declared, ast.ClassDef)
    meanings = {}
    for field, below in zip(declared.body, declared.body[1:], strict=False):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(
                value=ast.Constant(value=str(text))
            ):
                meanings[name] = " ".join(text.split())
    return meanings


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(format_reference(), "utf-8")
