"""Users of a data set beside what the service recommends to them."""

from collections.abc import Sequence
from pathlib import Path

from homefeed.cli.answers import format_score, remarks
from homefeed.cli.catalogue import read_pin_texts
from homefeed.cli.console import console, make_table, say
from homefeed.cli.people import Person
from serving.client import HomefeedClient

NUM_PINS = 10
"""Pins shown for each user."""
NEWCOMER = Person("somebody-new", recent=(), later=frozenset())
"""Stands for all users that a release does not know."""


def show_user(
    client: HomefeedClient, dataset: Path, person: Person, interests: Sequence[str] = ()
) -> None:
    """Prints what a user did last and what the service recommends.

    Args:
        client: of the service.
        dataset: the data set, which knows the titles.
        person: the user.
        interests: filter of the request; empty is none.
    """
    answer = client.recommend(person.user_id, k=NUM_PINS, interests=interests)
    pin_ids = [pin.pin_id for pin in answer.pins]
    texts = read_pin_texts(dataset, [*person.recent, *pin_ids])
    only = f", {' or '.join(interests)} only" if interests else ""
    say(f"User {person.user_id}{only}", style="bold")
    table = make_table("", "title", "interests", "score", right=("", "score"))
    for pin_id in person.recent:
        text = texts[pin_id]
        table.add_row("seen", text.title, ", ".join(text.interests), "", style="dim")
    table.add_section()
    for place, pin in enumerate(answer.pins, start=1):
        text = texts[pin.pin_id]
        came_true = pin.pin_id in person.later
        table.add_row(
            str(place),
            text.title + (" *" if came_true else ""),
            ", ".join(text.interests),
            format_score(pin),
            style="green" if came_true else None,
        )
    console.print(table)
    for line in remarks(answer):
        say(line)
