"""Which filters are scanned and which are left to the approximate index, and how far it goes."""

from collections.abc import Mapping
from typing import NamedTuple

from homefeed.index.approximate import Effort
from homefeed.index.postings import Codes, Subset


class Plan(NamedTuple):
    """What the build found to be enough."""

    scan_up_to: int
    """A filter with at most so many pins is scanned, unless it has an effort of its own."""
    plain: Effort
    """Without a filter."""
    filtered: Effort
    """Under a filter that has no effort of its own: several interests."""
    by_filter: Mapping[Codes, Effort]
    """Under single interests."""

    def effort(self, codes: Codes, subset: Subset) -> Effort | None:
        """How far to search for a filter's pins; None to scan them all.

        Args:
            codes: the filter.
            subset: the rows that pass it.
        """
        if (own := self.by_filter.get(codes)) is not None:
            return own
        if subset.num_rows <= self.scan_up_to:
            return None
        return self.plain if subset.is_whole else self.filtered
