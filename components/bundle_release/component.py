"""Step 10: what serving needs becomes one immutable release."""

from kfp import dsl

from components.step import step


@step
def bundle_release(
    exported: dsl.Input[dsl.Model],
    corpus: dsl.Input[dsl.Dataset],
    index: dsl.Input[dsl.Artifact],
    dataset: dsl.Input[dsl.Dataset],
    profile: str,
    release: dsl.Output[dsl.Model],
) -> None:
    """Bundles towers, index, users' snapshot and TorchServe's model store into a release.

    Args:
        exported: the exported towers artifact.
        corpus: the corpus artifact.
        index: the index artifact.
        dataset: the dataset artifact, of which the users' snapshot is made.
        profile: of the data, as JSON; the next run compares its own with it.
        release: the release; its metadata say its version and embedding space.
    """
    from homefeed.stage import stage

    with stage("bundle_release", release.metadata):
        from pathlib import Path
        from tempfile import TemporaryDirectory

        import msgspec

        from homefeed.data_checks.layout import Profile
        from homefeed.release.build import build_release
        from homefeed.release.write_users import write_user_snapshot
        from serving.torchserve.archive import write_model_store

        output = Path(release.path)
        # Beside the release, where there is room for as much again.
        with TemporaryDirectory(dir=output.parent) as parts:
            users, model_store = Path(parts) / "users", Path(parts) / "model-store"
            write_user_snapshot(Path(dataset.path), users)
            write_model_store(model_store)
            manifest = build_release(
                exported=Path(exported.path),
                corpus=Path(corpus.path),
                index=Path(index.path),
                users=users,
                model_store=model_store,
                output=output,
                profile=msgspec.json.decode(profile, type=Profile),
            )
        release.metadata["version"] = manifest.version
        release.metadata["embedding_space"] = manifest.embedding_space
