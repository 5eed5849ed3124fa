"""What a plan shows of the objects."""

import yaml

from homefeed.deployment.cluster.target import without_secrets
from tests.helm.chart import template

SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {{name: own}}\nstringData: {{key: {value}}}"


def test_the_charts_objects_are_shown_as_they_are() -> None:
    manifest = template("s3")
    assert without_secrets(manifest) == manifest.strip()
    assert len(list(yaml.safe_load_all(without_secrets(manifest)))) > 10


def test_of_a_secret_only_a_change_is_seen() -> None:
    manifest = template("minimal")
    shown = [
        without_secrets(f"{manifest}\n---\n{SECRET.format(value=value)}\n")
        for value in ("hush", "hush", "psst")
    ]
    assert shown[0] == shown[1] != shown[2]
    assert not any(word in text for word in ("hush", "psst") for text in shown)
