"""What people are told to type to deploy fits the code, whose messages docs/deploy.md quotes."""

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from homefeed import __version__
from homefeed.cli.commands import app
from images.build import CUDA_SUFFIX, IMAGES, REGISTRY
from tests.cli.homefeed_process import run_homefeed
from tests.cli.kfp_recorder import API, record_kfp
from tests.helm.chart import run_helm
from tests.kubectl import kubectl, needs_cluster, new_namespace
from tests.tools import chart_check

ROOT = Path(__file__).parents[2]
DOCUMENT, CANARY, CAPACITY = (
    (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("deploy", "canary", "capacity")
)
SHORT = (ROOT / "README.md").read_text("utf-8").split("## Deploy it")[1]


def shell_blocks(text: str) -> list[str]:
    found = re.findall(r"^ *```sh\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


TEXT = DOCUMENT + CANARY + CAPACITY + SHORT
LINES = [line for block in shell_blocks(TEXT) for line in block.splitlines()]
HOST = "http://localhost:8080"
# Folders of the repository, so that a path can be told from other words with a slash.
FOLDERS = "docs|helm|homefeed|images|manifests|pipelines|serving|tests"
SOURCES = ("pipelines", "components", "helm", "homefeed", "serving")


def commands(*start: str) -> list[list[str]]:
    """Words of the commands that begin with these."""
    split = [shlex.split(line) for line in LINES if line.startswith(start[0])]
    return [words for words in split if words[: len(start)] == list(start)]


HOMEFEED = [words[1:] for words in commands(".venv/bin/homefeed")]
HELM = [words[1:] for words in commands("helm") if words[1] in ("install", "upgrade")]


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the document's commands are typed."""
    monkeypatch.chdir(ROOT)


@pytest.mark.parametrize("words", HOMEFEED, ids=" ".join)
def test_each_homefeed_command_can_be_read(words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    name, *arguments = words
    command = group.get_command(group.make_context("homefeed", words), name)
    assert command is not None
    command.make_context(name, arguments)


@pytest.mark.parametrize(
    "words", [words for words in HOMEFEED if words[0] in ("submit", "schedule")], ids=" ".join
)
def test_what_is_ordered_of_kfp_is_sent(words: list[str]) -> None:
    assert HOST in words
    with record_kfp() as (server, _):
        here = [word.replace(HOST, server.url) for word in words]
        finished = run_homefeed(*here, KUBECONFIG=os.devnull)
        assert finished.returncode == 0, finished.stderr
        resource = {"submit": "runs", "schedule": "recurringruns"}[words[0]]
        (order,) = server.told("POST", f"{API}/{resource}")
    parameters = order.body["runtime_config"]["parameters"]
    assert parameters["store"] == "s3://my-bucket/homefeed"
    account = "--service-account"
    named = words[words.index(account) + 1] if account in words else None
    assert order.body.get("service_account") == named


def test_the_account_and_the_namespaces_of_runs_are_the_manifests() -> None:
    for folder in ("manifests/base", "manifests/overlays/single-user"):
        built = list(yaml.safe_load_all(kubectl("kustomize", folder)))
        (account,) = (each["metadata"] for each in built if each["kind"] == "ServiceAccount")
        assert f"`{account['namespace']}`" in DOCUMENT
        assert f"`{account['name']}`" in DOCUMENT
    (submit,) = [words for words in HOMEFEED if "--namespace" in words]
    assert submit[submit.index("--service-account") + 1] == account["name"]
    assert "--namespace homefeed-pipelines" in " ".join(submit)


def test_the_pipelines_are_compiled(tmp_path: Path) -> None:
    ((_, output, folder, *options),) = [words for words in HOMEFEED if words[0] == "compile"]
    assert (output, folder) == ("--output", "build/pipelines")
    finished = run_homefeed("compile", output, tmp_path, *options)
    assert finished.returncode == 0, finished.stderr


def values(words: list[str]) -> list[str]:
    """The options of a helm command that `helm template` takes too."""
    given = zip(words, words[1:], strict=False)
    found = [pair for pair in given if pair[0] in ("--namespace", "--set", "--values")]
    return [word for pair in found for word in pair]


def rendered(words: list[str]) -> list[dict[str, Any]]:
    """The chart's objects, with the values of a command; an upgrade keeps those before it."""
    command, name, chart, *_ = words
    options = values(words)
    if command == "upgrade":
        assert {"--reuse-values", "--reset-then-reuse-values"} & set(words)
        installed = next(words for words in HELM if "--set" in words)
        options = values(installed) + options
    finished = run_helm("template", name, chart, *options)
    assert finished.returncode == 0, finished.stderr
    return [each for each in yaml.safe_load_all(finished.stdout) if each]


def test_the_values_of_the_canary_give_what_its_page_names(tmp_path: Path) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", CANARY, re.MULTILINE | re.DOTALL)
    (tmp_path / "values.yaml").write_text(text)
    objects = rendered([*HELM[0], "--values", str(tmp_path / "values.yaml")])
    (route,) = (each for each in objects if each["kind"] == "HTTPRoute")
    (rule,) = route["spec"]["rules"]
    assert {each["name"]: each["weight"] for each in rule["backendRefs"]} == {
        "home-homefeed-retrieval-stable": 90,
        "home-homefeed-retrieval-canary": 10,
    }
    path = rule["matches"][0]["path"]["value"]
    assert f"`{path}`" in CANARY


@pytest.mark.parametrize("words", HELM, ids=" ".join)
def test_the_chart_takes_the_values(words: list[str]) -> None:
    kinds = {each["kind"] for each in rendered(words)}
    assert "Deployment" in kinds
    assert ("ServiceMonitor" in kinds) == any("serviceMonitor" in word for word in words)


def test_the_service_and_the_deployment_are_called_so() -> None:
    objects = {f"{each['kind'].lower()}/{each['metadata']['name']}" for each in rendered(HELM[0])}
    named = set(re.findall(r"\b(?:service|deployment)/home[\w-]*", DOCUMENT))
    assert len(named) == 2
    assert named <= objects


def test_the_images_are_those_that_are_built() -> None:
    names = re.findall(r"^\| `(homefeed-[a-z-]+)` \|", DOCUMENT, re.MULTILINE)
    assert names == [image.name for image in IMAGES]
    pushed = {f"{name}:{__version__}" for name in names}
    pushed |= {f"{each.name}:{__version__}{CUDA_SUFFIX}" for each in IMAGES if each.is_accelerated}
    (loop,) = [line for line in LINES if "podman push" in line]
    assert set(re.findall(r"homefeed-[\w.:-]+", loop)) == pushed
    for reference in re.findall(r"ghcr\.io/\S+", DOCUMENT):
        assert reference.replace("$name", names[1]) in {
            f"{REGISTRY}/{name}:{__version__}" for name in names
        }


def test_the_options_of_the_build_exist() -> None:
    command = [sys.executable, "-m", "images.build", "--help"]
    known = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    built = commands(".venv/bin/python", "-m", "images.build")
    options = {word for words in built for word in words if word.startswith("--")}
    assert options == {"--registry", "--tag", "--accelerator"}
    assert [option for option in options if f"{option} " not in known] == []


def test_paths_and_targets_exist() -> None:
    paths = set(re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./*-]*[\w/]", DOCUMENT))
    assert len(paths) >= 6
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = set(re.findall(r"`make ([a-z0-9-]+)`", DOCUMENT))
    targets |= {words[1] for words in commands("make")}
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.M)] == []


def loader() -> str:
    (text,) = re.findall(r"<<EOF\n(.*?)^EOF$", "\n".join(LINES), re.MULTILINE | re.DOTALL)
    return text


def test_the_loader_fits_the_schema_of_kubernetes(tmp_path: Path) -> None:
    (tmp_path / "loader.yaml").write_text(loader())
    finished = chart_check(
        "kubernetes_validate",
        *("--strict", "--kubernetes-version", "1.34", "--no-warn", "loader.yaml"),
        cwd=tmp_path,
    )
    assert finished.returncode == 0, finished.stdout
    pod = yaml.safe_load(loader())
    copies = [words for words in commands("kubectl", "cp")]
    where = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}:/store"
    assert [words[2:] for words in copies] == [
        ["build/store/releases", where],
        ["build/store/channels", where],
    ]


@needs_cluster
def test_the_loader_is_admitted_under_restricted_pod_security() -> None:
    with new_namespace() as namespace:
        pod = loader().replace("namespace: homefeed-serving", f"namespace: {namespace}")
        given = ("--dry-run=server", "--validate=strict", "-f", "-")
        kubectl("create", *given, stdin=pod)


def quoted_messages() -> list[str]:
    """The messages of the first two tables, which are the project's own."""
    part = DOCUMENT.split("## When it does not work")[1].split("And these are Kubernetes'")[0]
    rows = re.findall(r"^\| (`.*?) \|", part, re.MULTILINE)
    return [message for row in rows for message in re.findall(r"`([^`]+)`", row)]


def test_messages_are_those_of_the_code() -> None:
    texts = [
        path.read_text("utf-8")
        for folder in SOURCES
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".tpl")
    ]
    # A message may go on in the next line's literal.
    code = re.sub(r'"\s*\n\s*f?"', "", "\n".join(texts))
    messages = quoted_messages()
    assert len(messages) >= 15
    for message in messages:
        assert [part for part in message.split("…") if part not in code] == [], message
