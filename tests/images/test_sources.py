"""What pip is told of on this machine is what it is told of while an image is built."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from images.sources import PipSources, pip_sources

TORCH = "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels and an index, which pip's environment and its file name."""
    wheels, index = tmp_path / "wheels", tmp_path / "mirror" / "simple"
    wheels.mkdir()
    index.mkdir(parents=True)
    (tmp_path / "pip.conf").write_text(
        f"[global]\nextra-index-url = file://{index} https://index.example/simple\n"
        "constraint = /nowhere/constraints.txt\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("HOMEFEED_CACHE", str(tmp_path / "cache"))
    return tmp_path


def mounts(sources: PipSources) -> set[str]:
    return {option.removeprefix("--volume=") for option in sources.podman_options}


def test_the_folders_of_pips_configuration_are_mounted(configured: Path) -> None:
    there = mounts(pip_sources())
    assert f"{configured / 'wheels'}:{configured / 'wheels'}:ro" in there
    # What an index links to lies beside it.
    assert f"{configured / 'mirror'}:{configured / 'mirror'}:ro" in there


def test_the_image_gets_the_places_and_nothing_else(configured: Path) -> None:
    assert f"{configured / 'cache' / 'pip.conf'}:/etc/pip.conf:ro" in mounts(pip_sources())
    written = ConfigParser(interpolation=None)
    written.read(configured / "cache" / "pip.conf")
    settings = dict(written["global"])
    assert settings["find-links"] == str(configured / "wheels")
    assert settings["extra-index-url"].split()[1] == "https://index.example/simple"
    assert "constraint" not in settings
    assert (configured / "cache" / "pip.conf").stat().st_mode & 0o077 == 0


def test_a_folder_that_holds_torch_takes_the_place_of_its_index(configured: Path) -> None:
    assert not pip_sources().has_torch
    (configured / "wheels" / TORCH).touch()
    assert pip_sources().has_torch
