"""The step after publishing: the release is put into service, where that is wanted."""

from kfp import dsl

from components.step import step


@step
def deploy_release(
    version: str,
    store: str,
    channel: str,
    config: str,
    deployment: dsl.Output[dsl.Artifact],
    report: dsl.Output[dsl.HTML],
) -> str:
    """Deploys a published release, asks it, and goes back where it does not answer as it should.

    Args:
        version: of the release.
        store: URL of the release store.
        channel: what stands for the release.
        config: where it is deployed and how it is tested, as YAML; empty deploys nothing.
        deployment: what was done and seen.
        report: the same, to read; there as well where the deployment failed.

    Returns:
        How it ended; empty where nothing was to be deployed.
    """
    from homefeed.stage import stage

    with stage("deploy_release", deployment.metadata):
        import shutil
        from pathlib import Path

        from components.deploy_release.deploy import deploy_release
        from homefeed.deployment.layout import REPORT_FILE

        if not config:
            print(f"no deployment is asked for: release {version or 'none'} is not deployed")
            return ""
        output = Path(deployment.path)
        try:
            return deploy_release(store, version, channel, config, output).outcome.value
        finally:
            if (output / REPORT_FILE).exists():
                shutil.copyfile(output / REPORT_FILE, report.path)
