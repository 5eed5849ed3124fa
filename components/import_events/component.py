"""Step 2: a source becomes the contract's tables."""

from kfp import dsl

from components.step import step


@step
def import_events(
    config: str,
    source_fingerprint: str,
    events: dsl.Output[dsl.Dataset],
) -> None:
    """Turns the source into engagements, pins, users and signatures; bad rows go to a file.

    Args:
        config: the recipe's events section, as YAML.
        source_fingerprint: changes with the source's data, so that a cached import is not taken
            for them; not read.
        events: the events artifact.
    """
    from homefeed.stage import stage

    with stage("import_events", events.metadata):
        from pathlib import Path

        from homefeed.config import from_yaml
        from homefeed.events import importing
        from homefeed.events.config import EventsConfig

        section = from_yaml(config, EventsConfig, "events")
        importing.import_events(section, Path(events.path))
