"""Small files that other programs read."""

from pathlib import Path

import msgspec


def write_json(path: Path, content: msgspec.Struct) -> None:
    """Writes a file whose readers see the old content or the whole new one."""
    draft = path.with_name(f".{path.name}")
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
    draft.replace(path)
