"""The real process, whose link is pointed to other releases while it answers."""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from homefeed.contracts import read_manifest, write_manifest
from homefeed.index.layout import INDEX
from homefeed.index.protocol import Query, SearchRequest, SearchResponse
from homefeed.index.search import SearchEngine
from homefeed.release.bundle import read_release_manifest
from serving.release_folder import ReleaseFolder
from tests.index.artifacts import SPACE
from tests.serving.observing import wait_until
from tests.serving.refreshes import build_refreshes, place
from tests.serving.sidecar_process import Sidecar, running
from tests.serving.small_release import SmallRelease, build_small_release, sign_release

INFO = "homefeed_sidecar_index_info"


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> list[SmallRelease]:
    return build_refreshes(tmp_path_factory.mktemp("refreshes"), 5)


@pytest.fixture
def pod(releases: list[SmallRelease], tmp_path: Path) -> ReleaseFolder:
    return place(releases, tmp_path)


@pytest.fixture
def sidecar(pod: ReleaseFolder, tmp_path: Path) -> Iterator[Sidecar]:
    with running(pod.link, tmp_path / "s.sock") as process:
        yield process


def search(sidecar: Sidecar, release: SmallRelease, version: str = "") -> httpx.Response:
    query = Query(release.vectors[1].tobytes(), 10)
    body = msgspec.msgpack.encode(SearchRequest(SPACE, (query,), version))
    return sidecar.search.post("/search", content=body)


def answer(sidecar: Sidecar, release: SmallRelease, version: str = "") -> SearchResponse:
    response = search(sidecar, release, version)
    assert response.status_code == 200, response.text
    return msgspec.msgpack.decode(response.content, type=SearchResponse)


def expected(release: SmallRelease, asked: SmallRelease) -> tuple:
    """What a release answers where one of the pins of another is asked for."""
    query = Query(asked.vectors[1].tobytes(), 10)
    return (SearchEngine.load(release.folder / "index").search(query),)


def current(sidecar: Sidecar) -> str:
    return sidecar.operations.get("/readyz").json()["index_version"]


def swap(sidecar: Sidecar, pod: ReleaseFolder, version: str) -> None:
    pod.switch(version)
    wait_until(lambda: current(sidecar) == version, f"{version} is current")


def test_a_later_release_takes_the_place_and_the_one_before_is_held(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    first, second = releases[:2]
    assert current(sidecar) == first.version
    swap(sidecar, pod, second.version)
    for version, release in (
        ("", second),
        (second.version, second),
        (first.version, first),
    ):
        response = answer(sidecar, first, version)
        assert response.index_version == release.version
        assert response.current_version == second.version
        assert response.answers == expected(release, first)
    # One series, which says what is current.
    assert sidecar.metric(INFO) == sidecar.metric(INFO, version=second.version) == 1
    made = sidecar.metric("homefeed_sidecar_index_created_timestamp_seconds")
    assert made == read_release_manifest(second.folder).created_at


def test_a_version_that_is_not_held_is_refused_and_never_answered_by_another(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    refused = search(sidecar, releases[0], releases[1].version)
    assert refused.status_code == 409
    error = refused.json()["error"]
    assert error["code"] == "other_version"
    assert f"{releases[0].version} is current" in error["message"]
    for release in releases[1:]:
        swap(sidecar, pod, release.version)
    # Three are held, however many there were.
    statuses = [search(sidecar, releases[0], each.version).status_code for each in releases]
    assert statuses == [409, 409, 200, 200, 200]


def test_it_goes_back_to_a_release_that_it_holds(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    first, second = releases[:2]
    swap(sidecar, pod, second.version)
    swap(sidecar, pod, first.version)
    assert answer(sidecar, first).answers == expected(first, first)
    assert answer(sidecar, first, second.version).answers == expected(second, first)


def test_a_folder_that_is_removed_is_answered_from_all_the_same(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    first, second = releases[:2]
    swap(sidecar, pod, second.version)
    pod.keep(())
    for release in (first, second):
        assert answer(sidecar, first, release.version).answers == expected(release, first)


def flip_a_bit(release: Path) -> None:
    path = release / "index" / "vectors.npy"
    held = bytearray(path.read_bytes())
    held[-1] ^= 1
    path.write_bytes(held)


def truncate(release: Path) -> None:
    os.truncate(release / "users" / "users.mdb", 100)


def lose_a_file(release: Path) -> None:
    (release / "popular.json").unlink()


def lose_the_manifest(release: Path) -> None:
    (release / "manifest.json").unlink()


def of_another_schema(release: Path) -> None:
    path = release / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b'"schema_version": 1', b'"schema_version": 2'))


def of_another_encoder(release: Path) -> None:
    (release / "features.json").write_text("{}")
    sign_release(release)


def of_another_metric(release: Path) -> None:
    index = read_manifest(release / "index", INDEX)
    details = index.details | {"metric": "l2"}
    write_manifest(release / "index", msgspec.structs.replace(index, details=details))
    sign_release(release)


BREAKS = {
    flip_a_bit: "corrupt",
    truncate: "corrupt",
    lose_a_file: "corrupt",
    lose_the_manifest: "corrupt",
    of_another_schema: "schema",
    of_another_encoder: "embedding_space",
    of_another_metric: "metric",
}


@pytest.mark.parametrize(
    ("spoil", "reason"), BREAKS.items(), ids=lambda each: getattr(each, "__name__", each)
)
def test_what_is_wrong_is_refused_and_the_old_one_answers_until_a_good_one_comes(
    sidecar: Sidecar,
    pod: ReleaseFolder,
    releases: list[SmallRelease],
    spoil: Callable[[Path], None],
    reason: str,
) -> None:
    first, second, third = releases[:3]
    spoil(pod.of(second.version))
    pod.switch(second.version)
    refuse_and_recover(sidecar, pod, (first, third), reason)


def test_another_embedding_space_is_refused(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease], tmp_path: Path
) -> None:
    other = build_small_release(tmp_path / "other", space="space-b")
    shutil.copytree(other.folder, pod.of(other.version))
    pod.switch(other.version)
    refuse_and_recover(sidecar, pod, (releases[0], releases[1]), "embedding_space")


def refuse_and_recover(
    sidecar: Sidecar, pod: ReleaseFolder, good: tuple[SmallRelease, SmallRelease], reason: str
) -> None:
    def num_refused(**labels: str) -> float:
        return sidecar.metric("homefeed_sidecar_refused_releases_total", **labels)

    old, new = good
    wait_until(num_refused, "a release is refused")
    assert sidecar.process.stderr is not None
    line = json.loads(sidecar.process.stderr.readline())
    assert (line["event"], line["reason"]) == ("release refused", reason)
    assert current(sidecar) == old.version
    assert answer(sidecar, old).answers == expected(old, old)
    swap(sidecar, pod, new.version)
    assert answer(sidecar, old).answers == expected(new, old)
    assert num_refused() == num_refused(reason=reason) == 1  # once for one release


@pytest.mark.slow
def test_what_nobody_asks_for_any_more_is_dropped(
    sidecar: Sidecar, pod: ReleaseFolder, releases: list[SmallRelease]
) -> None:
    first, second = releases[:2]

    def maps() -> str:
        return Path(f"/proc/{sidecar.process.pid}/maps").read_text()

    swap(sidecar, pod, second.version)
    assert str(pod.of(first.version)) in maps()
    wait_until(lambda: str(pod.of(first.version)) not in maps(), "the old index is dropped")
    assert str(pod.of(second.version)) in maps()
    assert search(sidecar, first, first.version).status_code == 409
