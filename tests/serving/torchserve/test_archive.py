import importlib
import json
from pathlib import Path

import msgspec
import pytest

from homefeed.contracts import hash_files
from serving.torchserve.archive import MODEL_FOLDER, SETTINGS_FILE, write_model_store
from serving.torchserve.settings import DEFAULT_SETTINGS, HandlerSettings, ModelSettings


def test_equal_settings_give_equal_files(tmp_path: Path) -> None:
    write_model_store(tmp_path / "a")
    write_model_store(tmp_path / "b")
    write_model_store(tmp_path / "c", ModelSettings(batch_size=8))
    assert hash_files(tmp_path / "a") == hash_files(tmp_path / "b") != hash_files(tmp_path / "c")


def test_the_manifest_names_files_and_a_module_that_exist(tmp_path: Path) -> None:
    write_model_store(tmp_path)
    folder = tmp_path / MODEL_FOLDER
    model = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text())["model"]
    assert (folder / model["configFile"]).is_file()
    assert hasattr(importlib.import_module(model["handler"]), "HomefeedHandler")


def test_the_folder_hides_no_package() -> None:
    # TorchServe puts it where Python looks for modules first.
    assert not MODEL_FOLDER.isidentifier()


def test_settings_are_read_back_as_they_were(tmp_path: Path) -> None:
    settings = ModelSettings(
        min_workers=2,
        max_workers=3,
        batch_size=4,
        handler=HandlerSettings(sidecar_deadline_seconds=0.25, torch_threads=2),
    )
    write_model_store(tmp_path, settings)
    text = (tmp_path / MODEL_FOLDER / SETTINGS_FILE).read_text()
    assert msgspec.yaml.decode(text, type=ModelSettings) == settings
    # The names that TorchServe knows, and ours.
    assert {"minWorkers: 2", "maxBatchDelay: 1", "responseTimeout: 10"} <= set(text.splitlines())
    assert "  sidecar_deadline_seconds: 0.25" in text.splitlines()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minWorkers: 0", "minWorkers=0 and maxWorkers=1: there must be at least one worker"),
        ("minWorkers: 2", "minWorkers=2 and maxWorkers=1"),
        ("batchSize: 0", "batchSize=0 must be at least 1"),
        ("batch_size: 4", "unknown field `batch_size`"),
        ("handler: {torch_threads: 0}", "handler.torch_threads=0 must be positive"),
        ("handler: {max_conditions: 17}", "handler.max_conditions=17 must be from 0 to 16"),
        ("handler: {max_conditions: -1}", "handler.max_conditions=-1 must be from 0 to 16"),
        ("handler: {deadline: 1}", "unknown field `deadline`"),
        (
            "handler: {sidecar_deadline_seconds: 10}",
            "handler.sidecar_deadline_seconds=10.0 must be below responseTimeout=10",
        ),
        (
            "handler: {redis: {url: 'redis://h', deadline_seconds: 9.5}}",
            "handler.redis.deadline_seconds=9.5 and .* must together be below responseT",
        ),
        ("handler: {redis: {url: 'http://h'}}", "'http://h' is no URL of Redis"),
        ("handler: {redis: {url: 'redis://:x@h'}}", "the variable HOMEFEED_REDIS_PASSWORD"),
        (
            "handler: {redis: {deadline_seconds: 0}}",
            "handler.redis.deadline_seconds=0.0 must be positive",
        ),
        (
            "handler: {redis: {max_age_seconds: -1}}",
            "handler.redis.max_age_seconds=-1 must be positive, or 0",
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.yaml.decode(text, type=ModelSettings)


def test_the_default_settings_are_valid() -> None:
    again = msgspec.yaml.decode(msgspec.yaml.encode(DEFAULT_SETTINGS), type=ModelSettings)
    assert again == DEFAULT_SETTINGS
