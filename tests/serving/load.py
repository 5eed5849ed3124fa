"""Many callers at once, whose every answer is kept."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

NUM_CALLERS = 8


@contextmanager
def load(ask: Callable[[int], T]) -> Iterator[list[T]]:
    """Callers that ask again and again while the context is open.

    Args:
        ask: asks for the answer to a number, which is another each time.

    Yields:
        The answers so far; after the context, all of them. What a caller raised is raised there.
    """
    answers: list[T] = []
    is_over = threading.Event()

    def call(number: int) -> None:
        while not is_over.is_set():
            answers.append(ask(number))
            number += NUM_CALLERS

    with ThreadPoolExecutor(NUM_CALLERS) as threads:
        callers = [threads.submit(call, number) for number in range(NUM_CALLERS)]
        try:
            yield answers
        finally:
            is_over.set()
    for caller in callers:
        caller.result()
