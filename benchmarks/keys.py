"""What a measured number depends on: inputs, and the code that made it."""

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

ROOT = Path(__file__).parents[1]


def key_of(*facts: Any, code: tuple[str, ...]) -> str:
    """A hash that changes with any fact, and with the code of packages and modules.

    Args:
        facts: configuration structs and whatever JSON holds.
        code: their paths, without suffix: "homefeed/towers", "benchmarks/measure".
    """
    encoded = msgspec.json.encode([facts, [_code_hash(name) for name in code]], order="sorted")
    return hashlib.sha256(encoded).hexdigest()[:16]


@cache
def _code_hash(name: str) -> str:
    """Of what a package or module does: comments, docstrings and layout are left out."""
    paths = [ROOT / f"{name}.py", *sorted((ROOT / name).rglob("*.py"))]
    assert any(path.is_file() for path in paths), name
    digest = hashlib.sha256()
    for path in paths:
        if path.is_file():
            digest.update(ast.dump(_without_docstrings(ast.parse(path.read_bytes()))).encode())
    return digest.hexdigest()


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            # A string under a field of a class is a docstring too.
            node.body = [each for each in node.body if not _is_text(each)]
    return tree


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
