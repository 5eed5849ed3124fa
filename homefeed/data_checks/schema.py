"""Whether every table has the contract's columns, of the contract's types."""

from collections.abc import Mapping
from pathlib import Path

import ibis.expr.types as ir

from homefeed.contracts import Column
from homefeed.data_checks.layout import Finding
from homefeed.dataset.layout import DATASET, PIN_INDEX, SPLIT, USER_INDEX
from homefeed.engine import Engine
from homefeed.events.layout import (
    ENGAGEMENTS_FILE,
    EVENTS,
    PINS_FILE,
    SIGNATURES_FILE,
    USERS_FILE,
)

STRINGS = "array<string>"
PINS: dict[str, str] = {
    Column.PIN_ID: "string",
    Column.IMAGE_SIGNATURE: "string",
    Column.CREATED_AT: "int64",
    Column.INTERESTS: STRINGS,
    Column.TITLE: "string",
}
USERS: dict[str, str] = {
    Column.USER_ID: "string",
    Column.FOLLOWED_INTERESTS: STRINGS,
    Column.INFERRED_INTERESTS: STRINGS,
}
ENGAGEMENTS: dict[str, str] = {
    Column.EVENT_ID: "int64",
    Column.USER_ID: "string",
    Column.PIN_ID: "string",
    Column.ACTION: "string",
    Column.SURFACE: "string",
    Column.TIMESTAMP: "int64",
    Column.SOURCE_INTEREST: "string",
}
SIGNATURES: dict[str, str] = {
    Column.IMAGE_SIGNATURE: "string",
    Column.CANONICAL_SIGNATURE: "string",
}
SCHEMAS: dict[tuple[str, str], Mapping[str, str]] = {
    (EVENTS, ENGAGEMENTS_FILE): ENGAGEMENTS,
    (EVENTS, PINS_FILE): PINS,
    (EVENTS, USERS_FILE): USERS,
    (EVENTS, SIGNATURES_FILE): SIGNATURES,
    (DATASET, PINS_FILE): PINS | {PIN_INDEX: "int64", Column.CANONICAL_SIGNATURE: "string"},
    (DATASET, USERS_FILE): USERS | {USER_INDEX: "int64"},
    (DATASET, ENGAGEMENTS_FILE): ENGAGEMENTS
    | {SPLIT: "string", PIN_INDEX: "int64", USER_INDEX: "int64"},
}
"""Type of each column that must be there, as Ibis calls it, by artifact and file."""


def check_schemas(engine: Engine, folders: Mapping[str, Path]) -> list[Finding]:
    """What is missing or of another type, in all tables.

    Args:
        engine: reads them.
        folders: of the events and of the dataset artifact, by kind.
    """
    return [
        finding
        for (kind, file), columns in SCHEMAS.items()
        for finding in _compare(engine.read(folders[kind] / file), columns, f"{kind}/{file}")
    ]


def _compare(table: ir.Table, columns: Mapping[str, str], place: str) -> list[Finding]:
    found = {name: str(kind).replace("!", "") for name, kind in table.schema().items()}
    return [
        Finding(
            level="error",
            check="schema",
            place=f"{place} {column}",
            value=f"the column is {found.get(column, 'missing')}",
            limit=f"it must be {kind}",
            what_to_do="Import the log anew with this version of homefeed.",
        )
        for column, kind in columns.items()
        if found.get(column) != kind
    ]
