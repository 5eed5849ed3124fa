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
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "ca.pem"))
    return tmp_path


def mounts(sources: PipSources) -> dict[str, Path]:
    """Place in the image to place on this machine; all are read-only."""
    volumes = [each for each in sources.podman_options if each.startswith("--volume=")]
    parts = [volume.removeprefix("--volume=").split(":") for volume in volumes]
    assert {mode for _, _, mode in parts} == {"ro"}
    return {inside: Path(here) for here, inside, _ in parts}


def test_what_pips_configuration_names_is_mounted(configured: Path) -> None:
    # What an index links to lies beside it.
    named = {configured / name for name in ("wheels", "mirror", "ca.pem")}
    with pip_sources() as sources:
        assert mounts(sources).items() >= {str(path): path for path in named}.items()


def test_the_build_is_told_the_places_and_nothing_else(configured: Path) -> None:
    written = ConfigParser(interpolation=None)
    with pip_sources() as sources:
        file = mounts(sources)["/etc/pip.conf"]
        assert file.stat().st_mode & 0o077 == 0
        written.read(file)
    settings = dict(written["global"])
    assert settings["find-links"] == str(configured / "wheels")
    assert settings["extra-index-url"].split()[1] == "https://index.example/simple"
    assert "constraint" not in settings
    assert not file.exists()


def test_a_folder_that_holds_torch_takes_the_place_of_its_index(configured: Path) -> None:
    with pip_sources() as sources:
        assert not sources.has_torch
    (configured / "wheels" / TORCH).touch()
    with pip_sources() as sources:
        assert sources.has_torch
