"""Reads a source's tables and gives their columns the contract's names."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from homefeed.contracts import Column
from homefeed.engine import Engine
from homefeed.events.columns import rename
from homefeed.events.config import Tables
from homefeed.events.files import FILE, ROW, RawTable, read_files


@dataclass(frozen=True)
class Source:
    """A source's tables under the contract's names, not yet parsed or checked.

    Attributes:
        config: how the values are to be read.
        engagements: at least user_id, pin_id and timestamp.
        pins: at least pin_id.
        users: at least user_id.
        signatures: image_signature and canonical_signature.
        blocked: pin_id.
    """

    config: Tables
    engagements: RawTable
    pins: RawTable | None
    users: RawTable | None
    signatures: RawTable | None
    blocked: RawTable | None = None


def read_log(engine: Engine, config: Tables) -> Source:
    """Reads a team's own log.

    Raises:
        ValueError: a file or a column is missing, or a file is not of the recipe's format.
    """

    def read(name: str, path: str, mapping: Mapping[str, str], *required: str) -> RawTable:
        raw = read_files(engine, f"{name}s", path, config.format, config.delimiter)
        return replace(raw, rows=rename(raw, mapping, required, f"events.input.{name}_columns"))

    key = (Column.USER_ID, Column.PIN_ID, Column.TIMESTAMP)
    pair = (Column.IMAGE_SIGNATURE, Column.CANONICAL_SIGNATURE)
    source = Source(
        config=config,
        engagements=read("engagement", config.engagements, config.engagement_columns, *key),
        pins=read("pin", config.pins, config.pin_columns, Column.PIN_ID) if config.pins else None,
        users=read("user", config.users, config.user_columns, Column.USER_ID)
        if config.users
        else None,
        signatures=read("signature", config.signatures, config.signature_columns, *pair)
        if config.signatures
        else None,
        blocked=read("blocked pin", config.blocked, {}, Column.PIN_ID) if config.blocked else None,
    )
    there = {
        column for table in (source.pins, source.users) if table for column in table.rows.columns
    }
    if unknown := sorted(set(config.list_columns) - there):
        raise ValueError(
            f"events.input.list_columns names {', '.join(unknown)}, which neither pins nor users "
            f"have; there are {', '.join(sorted(there - {FILE, ROW}))}"
        )
    return source
