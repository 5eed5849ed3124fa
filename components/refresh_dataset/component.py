"""Step 4 of a refresh: all of the log, as the towers in production take it."""

from kfp import dsl

from components.step import step


@step
def refresh_dataset(
    events: dsl.Input[dsl.Dataset],
    exported: dsl.Input[dsl.Model],
    dataset: dsl.Output[dsl.Dataset],
) -> None:
    """Makes a data set of all of the log with the towers' own encoder; nothing is held back.

    Args:
        events: the events artifact.
        exported: the exported towers artifact, which holds the encoder.
        dataset: the dataset artifact, without examples.
    """
    from homefeed.stage import stage

    with stage("refresh_dataset", dataset.metadata):
        from pathlib import Path

        from homefeed.dataset import refresh
        from homefeed.features.encoder import FEATURES_FILE

        refresh.refresh_dataset(
            Path(events.path), Path(exported.path) / FEATURES_FILE, Path(dataset.path)
        )
