"""The command line, `homefeed --help`; each command imports what it needs when it is called."""

from homefeed.cli.entry import main

__all__ = ["main"]
