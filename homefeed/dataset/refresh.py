"""Prepares the tables that serving is made of, for towers that are trained already."""

import shutil
import sys
from pathlib import Path

import ibis
from ibis import _

from homefeed.contracts import Manifest, Window, read_manifest, sha256_file, write_manifest
from homefeed.dataset.layout import DATASET, KNOWN
from homefeed.dataset.tables import write_engagements, write_excluded, write_pins, write_users
from homefeed.engine import open_engine
from homefeed.events.layout import ENGAGEMENTS_FILE, EVENTS
from homefeed.features.encoder import FEATURES_FILE, FeatureEncoder


def refresh_dataset(events: Path, features: Path, output: Path) -> Manifest:
    """Makes a dataset artifact of all of a log, with the encoder of trained towers.

    Nothing is split, fitted or made into examples: every event is known, and the serving time is
    the end of the log. The features are those of the encoder. Events count whose actions it knows,
    as no other reached the towers in training.

    Args:
        events: the events artifact.
        features: the fitted encoder's file, copied as it is.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact; its `details["serving_time"]` is the instant (Unix seconds)
        after the last event.

    Raises:
        ValueError: a feature does not fit the columns, or no event's action is known.
    """
    source = read_manifest(events, EVENTS)
    encoder = FeatureEncoder.load(features)
    actions = encoder.actions.values
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine:
        log = engine.read(events / ENGAGEMENTS_FILE)
        num_unknown = log.filter(_.action.notin(actions)).count().execute()
        if num_unknown == log.count().execute():
            raise ValueError(
                f"none of the {num_unknown:,} events of {events} has an action that the towers "
                f"learnt from ({', '.join(actions)}): refresh from the log of their training"
            )
        if num_unknown:
            print(
                f"{num_unknown:,} events are left out: the towers learnt from other actions "
                f"({', '.join(actions)})",
                file=sys.stderr,
            )
        pins = write_pins(engine, events, encoder.config, output)
        users = write_users(engine, events, encoder.config, output)
        write_excluded(engine, log.filter(_.action.notin(actions)), pins, output)
        known = log.filter(_.action.isin(actions)).mutate(split=ibis.literal(KNOWN))
        engagements = write_engagements(engine, known, pins, users, output)
        span = engagements.agg(start=_.timestamp.min(), last=_.timestamp.max(), rows=_.count())
        (found,) = span.to_pyarrow().to_pylist()
        details = {
            "num_pins": pins.count().execute(),
            "num_users": users.count().execute(),
            "num_events": found["rows"],
            "serving_time": found["last"] + 1,
        }
    shutil.copyfile(features, output / FEATURES_FILE)
    return write_manifest(
        output,
        Manifest(
            kind=DATASET,
            granularity=encoder.config.granularity,
            window=Window(found["start"], found["last"] + 1),
            inputs={EVENTS: source.fingerprint, FEATURES_FILE: sha256_file(features)},
            details=details,
        ),
    )
