"""Beside step 1: the store that the run's result is to go to is there and may be read."""

from components.step import step


@step
def check_store(store: str, credentials: str) -> None:
    """Lists what lies in the store, so that a run whose end could not reach it fails at its start.

    It writes nothing: keys that may read and not write are found at the end.

    Args:
        store: URL of the store; empty checks nothing.
        credentials: where those of the store come from, for the error.
    """
    from homefeed.stage import stage

    with stage("check_store"):
        from homefeed import store as stores

        if store:
            stores.check_store(store, credentials)
