"""The contracts of `lint-imports` speak of every module, so that a new one is not left out."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTRACTS = {
    each["name"]: each
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
        "contracts"
    ]
}
MODULES = {
    f"homefeed.{path.stem}"
    for path in (ROOT / "homefeed").iterdir()
    if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").is_file()
}


def test_every_module_has_its_layer() -> None:
    assert set(CONTRACTS["Data flows one way through the library"]["layers"]) == MODULES


def test_no_module_of_the_library_may_import_what_is_built_on_it() -> None:
    contract = CONTRACTS["The library knows nothing of what is built on it"]
    assert set(contract["source_modules"]) == MODULES - {"homefeed.cli"}
