"""The step between the data set and the training: the window rule over a real store."""

from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.choose_ids.component import choose_ids
from homefeed.config import to_yaml
from homefeed.contracts import Window, read_manifest
from homefeed.dataset.layout import DATASET, TRAIN
from homefeed.id_embeddings.store import IdEmbeddingStore, fetch_ids
from homefeed.id_embeddings.tables import verify
from homefeed.towers.config import TowersConfig
from homefeed.towers.ids_config import IdsConfig
from tests.data_fixtures import START
from tests.id_embeddings.written import write_ids

DAY = 86_400
WITH_IDS = TowersConfig(ids=IdsConfig())


def choose(dataset: Path, towers: TowersConfig, store: str) -> tuple[str, str]:
    """The version and the store that the training is told."""
    component: Any = choose_ids
    artifact = dsl.Dataset(uri=str(dataset))
    version, where = component.python_func(artifact, to_yaml(towers), store)
    return version, where


def training_window(dataset: Path) -> Window:
    return Window(*read_manifest(dataset, DATASET).details["windows"][TRAIN])


def publish(folder: Path, url: str, *ends: int) -> list[str]:
    """Publishes ID embeddings of the ten days before each end; their versions."""
    versions = []
    for seed, end in enumerate(ends):
        own = folder / str(end)
        write_ids(own, ["u"], ["p"], Window(end - 10 * DAY, end), seed=seed)
        versions.append(IdEmbeddingStore(url).publish(own))
    return versions


def test_the_latest_legal_table_of_the_store_is_chosen(tiny_dataset: Path, tmp_path: Path) -> None:
    url = (tmp_path / "store").as_uri()
    start = training_window(tiny_dataset).start
    _, latest, _ = publish(tmp_path, url, start - DAY, start, start + 1)
    assert choose(tiny_dataset, WITH_IDS, url) == (latest, url)
    found = fetch_ids(url, latest, tmp_path)
    assert found is not None
    assert verify(found).window == Window(start - 10 * DAY, start)


def test_an_overlapping_table_is_refused_with_both_windows(
    tiny_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = str(tmp_path / "store")
    training = training_window(tiny_dataset)
    end = training.start + 3 * DAY
    (version,) = publish(tmp_path, url, end)
    with pytest.raises(SystemExit):
        choose(tiny_dataset, WITH_IDS, url)
    output = capfd.readouterr()
    assert output.out.startswith(
        f"choose_ids failed: ID embeddings {version} cover {Window(end - 10 * DAY, end)} but the "
        f"towers train from {training}: 3 days overlap. Use a table that ends on or before "
    )
    assert "Traceback" not in output.err


@pytest.mark.parametrize("store", ["", "nowhere"])
def test_without_tables_it_is_said_what_to_do(
    tiny_dataset: Path, tmp_path: Path, store: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        choose(tiny_dataset, WITH_IDS, store and str(tmp_path / store))
    said = capfd.readouterr().out
    assert said.startswith("choose_ids failed: ")
    assert ("there are no ID embeddings yet" if store else "no store is given") in said
    assert "pre-train one" in said or "pretrain_ids" in said


def test_where_none_are_used_the_training_is_told_of_no_store(
    tiny_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = str(tmp_path / "store")
    publish(tmp_path, url, START - DAY)
    for store in ("", url):
        assert choose(tiny_dataset, TowersConfig(), store) == ("", "")
        assert fetch_ids("", "", tmp_path) is None
    assert "the recipe uses no ID embeddings" in capfd.readouterr().err
