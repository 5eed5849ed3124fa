"""The one way configuration is declared, read and refused: frozen structs, strict on every key."""

from typing import Any, TypeVar

import msgspec

T = TypeVar("T", bound="Config")


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every configuration section; unknown keys and wrong types are refused."""


def from_yaml(text: str | bytes, kind: type[T], where: str) -> T:
    """Parses YAML text into `kind`.

    Args:
        text: the YAML document.
        kind: the configuration struct that the document must fit.
        where: what the text is, for the error (a path, or a parameter's name).

    Raises:
        ValueError: the text is no YAML, or a key or value does not fit; names the place.
    """
    try:
        return msgspec.yaml.decode(text, type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{where}: {error}") from error


def to_yaml(config: Config) -> str:
    """Writes a configuration as YAML that `from_yaml` reads back to an equal value."""
    return msgspec.yaml.encode(config).decode()


def to_builtins(config: Config) -> dict[str, Any]:
    """The configuration as plain dicts and lists, as artifacts' manifests store it."""
    return msgspec.to_builtins(config)
