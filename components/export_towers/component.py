"""Step 6: the towers become TorchScript."""

from kfp import dsl

from components.step import step


@step
def export_towers(towers: dsl.Input[dsl.Model], exported: dsl.Output[dsl.Model]) -> None:
    """Exports both towers on plain torch, and checks in a clean process that they are the same.

    Args:
        towers: the towers artifact.
        exported: the exported towers artifact.
    """
    from homefeed.stage import stage

    with stage("export_towers", exported.metadata):
        from pathlib import Path

        from homefeed.export import export

        export.export_towers(Path(towers.path), Path(exported.path))
