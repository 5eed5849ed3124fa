"""The folder of local runs: what lies where, what of it is whole, and what is not kept."""

import fcntl
import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from homefeed.contracts import MANIFEST_FILE, Manifest, sha256_file

KEPT_RUNS = 3
"""What so many successful runs used is kept: a recipe can be changed, and changed back."""


@dataclass(frozen=True)
class WorkFolder:
    """`root` is absolute: KFP records artifacts by their absolute paths."""

    root: Path

    @property
    def cache(self) -> Path:
        """KFP's cache: a JSON file for each step, with the paths of its artifacts."""
        return self.root / "cache"

    @property
    def runs(self) -> Path:
        """A folder for each run, with a folder for each step that it did not find in the cache."""
        return self.root / "runs"

    @property
    def checkpoints(self) -> Path:
        """Of a training that has not come to its end: a folder for each version of the code."""
        return self.root / "checkpoints"

    @property
    def log(self) -> Path:
        """What KFP says while it runs, of the last run."""
        return self.root / "log.txt"

    @property
    def outcome(self) -> Path:
        """What came of the last run."""
        return self.root / "outcome.json"

    @property
    def _recent(self) -> Path:
        """Keys of the cache's entries that recent successful runs used, the last run's first."""
        return self.root / "recent.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder against a second run, which would sweep away what the first makes.

        Raises:
            RuntimeError: another run holds it.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RuntimeError(
                    f"another run is at work in {self.root}: wait for its end, or take another "
                    "work folder"
                ) from None
            yield

    def keep(self, used: Sequence[str]) -> None:
        """Takes note of a successful run and lets go of what the last few did not use.

        Args:
            used: keys of the cache's entries that it made or reused.
        """
        earlier = json.loads(self._recent.read_text()) if self._recent.exists() else []
        recent = [list(used), *earlier][:KEPT_RUNS]
        draft = self._recent.with_suffix(".draft")
        draft.write_text(json.dumps(recent))
        draft.replace(self._recent)
        for entry in self.cache.glob("*.json"):
            if not any(entry.stem in keys for keys in recent):
                entry.unlink()
        shutil.rmtree(self.checkpoints, ignore_errors=True)
        self.sweep()

    def sweep(self) -> None:
        """Removes the artifacts that no entry of the cache holds."""
        steps = set()
        for entry in self.cache.glob("*.json"):
            outputs = json.loads(entry.read_text()).values()
            steps |= {Path(each["uri"]).parent for each in outputs if isinstance(each, dict)}
        if self.runs.is_dir():
            _remove_others(self.runs, steps)


def is_whole(artifact: Path) -> bool:
    """Whether an artifact's files are those of its manifest; what is no folder has none."""
    if not artifact.is_dir():
        return artifact.is_file()
    try:
        manifest = msgspec.json.decode((artifact / MANIFEST_FILE).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return False
    files = {artifact / name: sha256 for name, sha256 in manifest.files.items()}
    return all(file.is_file() and sha256_file(file) == files[file] for file in files)


def _remove_others(folder: Path, kept: set[Path]) -> None:
    """Removes what lies below a folder and is none of these, nor in one, nor around one."""
    for child in folder.iterdir():
        if any(child in path.parents for path in kept):
            _remove_others(child, kept)
        elif child not in kept:
            shutil.rmtree(child)
