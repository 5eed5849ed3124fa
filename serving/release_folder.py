"""Where a pod keeps releases: `current` is a link to the one that is served, `current-VERSION`.

A folder is written once, under its own name, and the link is replaced as a whole. So whoever reads
a release resolves the link first, once, and never finds files of two releases. Files of a folder
that is removed stay readable to those who have mapped them.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

from homefeed.contracts import VERSION


class ReleaseFolder:
    """The releases beside one link."""

    def __init__(self, link: Path) -> None:
        self.link = link

    def of(self, version: str) -> Path:
        """The folder of a version, whether there is one or not."""
        return self.link.with_name(f"{self.link.name}-{version}")

    def switch(self, version: str) -> None:
        """Points the link to the folder of a version, at once for all who look."""
        draft = self.link.with_name(f".{self.link.name}-link")
        draft.unlink(missing_ok=True)
        draft.symlink_to(self.of(version).name)
        draft.replace(self.link)

    def clear_drafts(self) -> None:
        """Removes what a fetch that was killed left behind; it would fill the volume."""
        for draft in self.link.parent.glob(f".{self.link.name}-*"):
            draft.unlink() if draft.is_symlink() else shutil.rmtree(draft)

    def keep(self, versions: Collection[str]) -> None:
        """Removes the folders of all other versions."""
        for folder in self.link.parent.glob(f"{self.link.name}-*"):
            version = folder.name.removeprefix(f"{self.link.name}-")
            if VERSION.fullmatch(version) and version not in versions:
                shutil.rmtree(folder)
