"""Imports a source: reads, checks and writes the contract's tables."""

import hashlib
import sys
import time
from collections import Counter
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import ibis
from ibis import _
from tqdm import tqdm

from homefeed.config import to_builtins, to_yaml
from homefeed.contracts import Column, Manifest, Window, write_manifest
from homefeed.engine import Engine, open_engine
from homefeed.events.checks import Checked, count_rejects, refuse_too_many, write_rejects
from homefeed.events.complete import complete_pins, complete_signatures, complete_users
from homefeed.events.config import EventsConfig, MovieLens
from homefeed.events.files import list_files
from homefeed.events.layout import (
    BLOCKED_FILE,
    ENGAGEMENTS_FILE,
    EVENTS,
    PINS_FILE,
    REJECTS_FILE,
    SIGNATURES_FILE,
    USERS_FILE,
)
from homefeed.events.log import Source, read_log
from homefeed.events.movielens import PACKAGE_SHA256, read_movielens
from homefeed.events.parse import (
    check_blocked,
    check_engagements,
    check_pins,
    check_signatures,
    check_users,
)
from homefeed.events.simulator.config import Simulator
from homefeed.events.simulator.source import read_simulator


def import_events(config: EventsConfig, output: Path) -> Manifest:
    """Turns a source into engagements, pins, users and signatures; bad rows go to a file.

    Args:
        config: the events section of a recipe.
        output: folder of the artifact.

    Returns:
        The manifest of the artifact.

    Raises:
        ValueError: a file or column is missing, a file cannot be read, more than
            `max_reject_share` of a table's rows are bad, or no engagement is left.
        RuntimeError: MovieLens could not be fetched.
    """
    output.mkdir(parents=True, exist_ok=True)
    with open_engine(output) as engine, ExitStack() as opened:
        if isinstance(config.input, MovieLens):
            source = read_movielens(engine, config.input)
        elif isinstance(config.input, Simulator):
            source = opened.enter_context(read_simulator(engine, config.input, output))
        else:
            source = read_log(engine, config.input)
        tables = _check(engine, source)
        write_rejects(engine, tables.values(), output / REJECTS_FILE)
        for table in tables.values():
            refuse_too_many(table, config, source.config.timestamp, output / REJECTS_FILE)
        window = _write(engine, tables, output)
        details = _count(engine, tables, output)
    print(_summary(details, window, output), file=sys.stderr)
    details["config"] = to_builtins(config)
    return write_manifest(output, Manifest(kind=EVENTS, window=window, details=details))


def source_fingerprint(config: EventsConfig) -> str:
    """A hash that changes when the source's data change; it reads no data.

    Raises:
        ValueError: a file is missing.
    """
    if isinstance(config.input, MovieLens):
        return PACKAGE_SHA256
    if isinstance(config.input, Simulator):
        return hashlib.sha256(to_yaml(config.input).encode()).hexdigest()
    facts = []
    tables = config.input
    for path in (
        tables.engagements,
        tables.pins,
        tables.users,
        tables.signatures,
        tables.blocked,
    ):
        if path is None:
            continue
        filesystem, files = list_files(path)
        for file in files:
            about = filesystem.info(file)
            version = about.get("ETag") or about.get("etag") or about.get("mtime")
            facts.append((file, about["size"], str(version)))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _check(engine: Engine, source: Source) -> dict[str, Checked]:
    """The source's tables by name, each parted into good and bad rows."""
    parts = {
        "engagements": (source.engagements, partial(check_engagements, now=int(time.time()))),
        "pins": (source.pins, check_pins),
        "users": (source.users, check_users),
        "signatures": (source.signatures, check_signatures),
        "blocked": (source.blocked, check_blocked),
    }
    given = {name: (raw, check) for name, (raw, check) in parts.items() if raw is not None}
    with tqdm(given.items(), desc="checking tables", unit="table") as progress:
        return {name: check(engine, raw, source.config) for name, (raw, check) in progress}


def _write(engine: Engine, tables: dict[str, Checked], output: Path) -> Window:
    """Writes the contract's tables; returns the window of the engagements."""
    log = tables["engagements"]
    in_order = log.good.order_by(Column.TIMESTAMP, Column.EVENT_ID)
    engagements = engine.write(in_order, output / ENGAGEMENTS_FILE)
    span = engagements.agg(first=_.timestamp.min(), last=_.timestamp.max()).to_pyarrow()
    first, last = (span[name][0].as_py() for name in ("first", "last"))
    if first is None:
        raise ValueError(
            f"{log.path} holds no usable engagement among its {log.num_rows:,} rows; bad rows are "
            f"in {output / REJECTS_FILE}"
        )
    known = {name: table.good for name, table in tables.items()}
    pins = complete_pins(known.get("pins"), engagements)
    written = engine.write(pins.order_by(Column.PIN_ID), output / PINS_FILE)
    users = complete_users(known.get("users"), engagements)
    engine.write(users.order_by(Column.USER_ID), output / USERS_FILE)
    signatures = complete_signatures(known.get("signatures"), known.get("pins"), written)
    engine.write(signatures.order_by(Column.IMAGE_SIGNATURE), output / SIGNATURES_FILE)
    if "blocked" in known:
        blocked = known["blocked"].select(Column.PIN_ID)
    else:
        blocked = written.filter(ibis.literal(False)).select(Column.PIN_ID)
    engine.write(blocked.order_by(Column.PIN_ID), output / BLOCKED_FILE)
    return Window(first, last + 1)


def _count(engine: Engine, tables: dict[str, Checked], output: Path) -> dict[str, Any]:
    """Rows of each table as written, and what the source lacked."""
    num_rejected: Counter[str] = Counter()
    for table in tables.values():
        num_rejected.update(count_rejects(table))
    details: dict[str, Any] = {"num_rejected": dict(num_rejected)}
    for name in ("engagements", "pins", "users"):
        details[f"num_{name}"] = engine.read(output / f"{name}.parquet").count().execute()
    for name in ("pins", "users"):
        num_known = tables[name].good.count().execute() if name in tables else 0
        details[f"num_{name}_without_data"] = details[f"num_{name}"] - num_known
    return details


def _summary(details: dict[str, Any], window: Window, output: Path) -> str:
    lines = [
        f"{details['num_engagements']:,} engagements of {details['num_users']:,} users with "
        f"{details['num_pins']:,} pins, {window}"
    ]
    if rejected := details["num_rejected"]:
        reasons = ", ".join(f"{reason} ({count:,})" for reason, count in rejected.items())
        lines.append(f"rejected rows, listed in {output / REJECTS_FILE}: {reasons}")
    for name in ("pins", "users"):
        if count := details[f"num_{name}_without_data"]:
            lines.append(f"{count:,} {name} are known from the engagements alone")
    return "\n".join(lines)
