"""How a command ends: with its own exit code, one readable message, or everything stopped."""

import os
import sys
from typing import NoReturn

from homefeed.cli.signals import NOTE, STOPPED, stop_at_once

TRACEBACK_VARIABLE = "HOMEFEED_TRACEBACK"


def main() -> NoReturn:
    """Runs the command line of this process.

    Exit codes: 0; 1 for an error that the user can do something about; 2 for a command line that
    cannot be read; 130 after Ctrl-C and 143 after SIGTERM, when all that was started has ended.
    """
    stop_at_once()
    try:
        # Only now, so that a Ctrl-C while it is imported ends as any other.
        from homefeed.cli.commands import app

        app()
    except (ValueError, RuntimeError, OSError) as error:
        if os.environ.get(TRACEBACK_VARIABLE):
            raise
        print(f"homefeed: {error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code in STOPPED:
            sys.stderr.write(NOTE)
        raise
    raise AssertionError("the command line ends by SystemExit")
