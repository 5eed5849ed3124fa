"""When a pipeline is to run: KFP's cron expressions, checked before a cluster is asked."""

import re

NAMES = {
    "month": ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    "day of the week": ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
}
FIELDS = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day of the month": (1, 31),
    "month": (1, 12),
    "day of the week": (0, 6),
}
"""The fields in their order, each with its first and last number."""
EXAMPLE = "'0 0 3 * * *' is every day at 3:00"
PART = re.compile(r"(?:[*?]|(\w+)(?:-(\w+))?)(?:/(\d+))?")


def check_cron(expression: str) -> None:
    """Refuses an expression that KFP would not read.

    Raises:
        ValueError: it has other than six fields, or a field holds what it cannot; names it.
    """
    fields = expression.split()
    if len(fields) != len(FIELDS):
        raise ValueError(
            f"cron {expression!r} has {len(fields)} fields, KFP wants {len(FIELDS)}: "
            f"{', '.join(FIELDS)}; {EXAMPLE}"
        )
    for (name, (first, last)), text in zip(FIELDS.items(), fields, strict=True):
        if not all(_is_part(part, name, first, last) for part in text.split(",")):
            names = f" or {NAMES[name][0]}..{NAMES[name][-1]}" if name in NAMES else ""
            raise ValueError(
                f"cron {expression!r}: {text!r} is no {name}; that is *, {first}..{last}{names}, a "
                f"range 1-5, a step */2, or some of them with commas between; {EXAMPLE}"
            )


def _is_part(text: str, name: str, first: int, last: int) -> bool:
    found = PART.fullmatch(text.lower())
    if found is None or found[3] == "0":
        return False
    names = dict(zip(NAMES.get(name, ()), range(first, last + 1), strict=False))
    bounds = [names.get(each, each) for each in found.groups()[:2] if each is not None]
    if not all(str(bound).isdecimal() and first <= int(bound) <= last for bound in bounds):
        return False
    return [int(bound) for bound in bounds] == sorted(int(bound) for bound in bounds)
