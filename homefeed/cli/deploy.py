"""`homefeed deploy`: a published release goes into service, from here."""

from pathlib import Path

from homefeed.cli.console import say
from homefeed.cli.signals import stop_in_order
from homefeed.config import from_yaml, to_yaml
from homefeed.deployment.config import DeploymentConfig
from homefeed.deployment.layout import REPORT_FILE
from homefeed.release.store import ReleaseStore


def deploy_release(
    config: Path, store: str, channel: str, version: str | None, dry_run: bool, output: Path
) -> None:
    """Deploys the release that a channel stands for, and prints how that ended.

    Args:
        config: YAML that says where, and how it is tested.
        store: URL of the release store, or a folder.
        channel: what stands for the release.
        version: that the channel must stand for; None takes the one that it does.
        dry_run: change nothing.
        output: folder of the report.

    Raises:
        ValueError: the file cannot be used, or the release is refused; nothing was changed.
        RuntimeError: it failed; says what is served now.
    """
    from components.deploy_release.deploy import deploy_release as deploy

    stop_in_order()
    if not config.is_file():
        raise ValueError(f"there is no file {config} that says where to deploy: see docs/deploy.md")
    parsed = from_yaml(config.read_bytes(), DeploymentConfig, str(config))
    if dry_run:
        parsed = DeploymentConfig(to=parsed.to, smoke_test=parsed.smoke_test, dry_run=True)
    version = version or ReleaseStore(store).resolve(channel)
    try:
        done = deploy(store, version, channel, to_yaml(parsed), output)
    finally:
        if (output / REPORT_FILE).exists():
            say(f"report: {output / REPORT_FILE}")
    if parsed.dry_run and done.changes:
        say(done.changes)
    say(f"{done.outcome.value}: release {done.version} on {done.target}", style="bold")
