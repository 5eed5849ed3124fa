"""Where the last run in a work folder left its artifacts, for the commands that come after it."""

import shlex
from pathlib import Path

import msgspec

from homefeed.cli.console import program
from homefeed.cli.files import write_json

RUN_FILE = "run.json"


class LastRun(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`: the release that was made and the data set behind it."""

    release: str
    version: str
    """Of the release."""
    dataset: str


def record_run(work: Path, run: LastRun) -> None:
    """Writes `run.json`."""
    write_json(work / RUN_FILE, run)


def read_last_run(work: Path) -> LastRun | None:
    """The last run that came to its end in a work folder, unless its artifacts are gone.

    Raises:
        ValueError: `run.json` is not what this homefeed writes.
    """
    path = work / RUN_FILE
    try:
        run = msgspec.json.decode(path.read_bytes(), type=LastRun)
    except FileNotFoundError:
        return None
    except msgspec.MsgspecError as error:
        raise ValueError(f"{path}: {error}; remove it and run again") from error
    return run if Path(run.release).is_dir() else None


def last_release(work: Path) -> Path:
    """Folder of the release that the last run in a work folder made.

    Raises:
        ValueError: there is none; says how to make one.
    """
    last = read_last_run(work)
    if last is None:
        raise ValueError(
            f"{work} holds no release of a run: make one with `{program()} run ml-1m --work "
            f"{shlex.quote(str(work))}`, or name the folder of a release"
        )
    return Path(last.release)
