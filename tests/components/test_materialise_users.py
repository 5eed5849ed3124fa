from pathlib import Path
from typing import Any

import pytest
from kfp import dsl

from components.materialise_users.component import materialise_users
from homefeed.release.redis_connection import DEFAULT_PREFIX, PASSWORD_VARIABLE
from tests.redis_server import PASSWORD, RedisServer, redis_server
from tests.serving.small_release import build_small_release


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> dsl.Model:
    folder = build_small_release(tmp_path_factory.mktemp("release")).folder
    return dsl.Model("release", str(folder))


def materialise(release: dsl.Model, url: str) -> int:
    component: Any = materialise_users
    return component.python_func(release, url, DEFAULT_PREFIX, 1)


def test_users_are_written_with_the_password_of_the_environment(
    release: dsl.Model,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with redis_server(tmp_path, PASSWORD) as server:
        with pytest.raises(SystemExit):
            materialise(release, server.url)
        failed = f"materialise_users failed: Redis at {server.url}: AuthenticationError"
        assert capfd.readouterr().out.startswith(failed)
        monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
        assert materialise(release, server.url) == 2
        keys = {f"{DEFAULT_PREFIX}{user}".encode() for user in ("reader", "lurker")}
        assert set(server.client.keys()) == keys
        assert "wrote 2 users; 0 had a later record there" in capfd.readouterr().err


def test_without_redis_nothing_is_written_and_it_is_said(
    release: dsl.Model, capfd: pytest.CaptureFixture[str]
) -> None:
    assert materialise(release, "") == 0
    assert "no Redis is given" in capfd.readouterr().err


def test_a_password_in_the_parameter_is_refused(
    release: dsl.Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    url = RedisServer(tmp_path).url.replace("//", "//:hush@")
    with pytest.raises(SystemExit):
        materialise(release, url)
    said = capfd.readouterr().out
    assert "holds a password" in said
    assert "hush" not in said
