"""The command line: `homefeed demo | run | serve | query`; imports what a command needs in it."""

from homefeed.cli.entry import main

__all__ = ["main"]
