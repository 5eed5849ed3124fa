"""`homefeed query` as a process against a real TorchServe with its sidecar."""

import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Served
from tests.cli.homefeed_process import run_homefeed

READ = ("p3", "p2", "p1")


def test_pins_come_with_their_titles_in_the_order_of_the_service(served: Served) -> None:
    finished = run_homefeed("query", "reader", "--k", "5", "--work", served.work)
    assert finished.returncode == 0, finished.stderr
    best = served.release.best(READ, 5, age="18", exclude=READ)
    rows = [line.split() for line in finished.stdout.splitlines() if "embedding_0" in line]
    assert [row[1] for row in rows] == best
    assert [" ".join(row[2:5]) for row in rows] == [f"Pin number {pin[1:]}" for pin in best]
    assert f"release {served.state.version}" in finished.stdout
    assert "cold start" not in finished.stdout
    assert "degraded" not in finished.stdout


def test_json_is_what_the_service_answered(served: Served) -> None:
    finished = run_homefeed("query", "reader", "--k", "7", "--json", "--work", served.work)
    answer = json.loads(finished.stdout)
    assert [pin["pin_id"] for pin in answer["pins"]] == served.release.best(
        READ, 7, age="18", exclude=READ
    )
    assert answer["model_version"] == served.state.version


@pytest.mark.parametrize(
    "filters",
    [
        ["--interests", "art,cats"],
        ["--interests", " art , cats "],
        ["--interests", "art", "--interests", "cats"],
    ],
)
def test_interests_are_repeated_or_parted_by_commas(served: Served, filters: list[str]) -> None:
    finished = run_homefeed("query", "reader", *filters, "--json", "--work", served.work)
    pins = [pin["pin_id"] for pin in json.loads(finished.stdout)["pins"]]
    assert pins == served.release.best(READ, 20, age="18", interests=("art", "cats"), exclude=READ)


def test_excluded_pins_stay_out(served: Served) -> None:
    first, second, third = served.release.best(READ, 3, age="18", exclude=READ)
    finished = run_homefeed(
        "query", "reader", "--exclude", first, "--exclude", third, "--k", "1", "--json",
        "--work", served.work,
    )  # fmt: skip
    assert [pin["pin_id"] for pin in json.loads(finished.stdout)["pins"]] == [second]


def test_an_unknown_user_is_answered_and_flagged(served: Served) -> None:
    finished = run_homefeed("query", "nobody", "--work", served.work)
    assert finished.returncode == 0
    assert "cold start: the release does not know this user" in finished.stdout


def test_without_the_run_that_made_the_release_there_are_ids(
    served: Served, tmp_path: Path
) -> None:
    finished = run_homefeed("query", "reader", "--url", served.state.url, "--work", tmp_path)
    assert finished.returncode == 0
    assert served.release.best(READ, 1, age="18", exclude=READ)[0] in finished.stdout
    assert "Pin number" not in finished.stdout


def test_titles_of_another_release_are_not_taken(served: Served, tmp_path: Path) -> None:
    work = tmp_path / "other"
    shutil.copytree(served.work, work)
    record = json.loads((work / "run.json").read_text())
    (work / "run.json").write_text(json.dumps(record | {"version": "another"}))
    finished = run_homefeed("query", "reader", "--work", work)
    assert finished.returncode == 0
    assert "Pin number" not in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reader", "--interests", "dogs"], "interests: no pin has 'dogs'; there are art, cats"),
        (["reader", "--k", "0"], "k must be an integer from 1 to 1000"),
        ([""], "user_id must be a string of 1 to 512 characters"),
    ],
)
def test_a_refused_request_is_one_line_that_names_the_field(
    served: Served, arguments: list[str], message: str
) -> None:
    finished = run_homefeed("query", *arguments, "--work", served.work)
    assert finished.returncode == 1
    assert finished.stdout == ""
    assert message in finished.stderr
    assert len(finished.stderr.splitlines()) == 1


def test_nothing_served_says_what_to_do(tmp_path: Path) -> None:
    finished = run_homefeed("query", "1", "--work", tmp_path)
    assert finished.returncode == 1
    assert f"bin/homefeed serve --work {tmp_path}`" in finished.stderr


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1:9", "http://127.0.0.1:9: no connection"),
        ("localhost:8080", "'localhost:8080' must begin with http:// or https://"),
    ],
)
def test_a_wrong_url_is_named(url: str, message: str) -> None:
    finished = run_homefeed("query", "1", "--url", url)
    assert finished.returncode == 1
    assert message in finished.stderr
    assert "Traceback" not in finished.stderr
