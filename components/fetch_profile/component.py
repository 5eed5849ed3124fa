"""Step 3: what the data of the release in production were like."""

from components.step import step


@step
def fetch_profile(store: str, channel: str) -> str:
    """Reads the profile of the data that the release in production was made of.

    It is a step of its own as what the store holds is no input: who compares with the profile is
    known by what it says, and is not run again for the same one.

    Args:
        store: URL of the release store; may be empty.
        channel: what stands for the release; may be empty.

    Returns:
        The profile as JSON; empty where there is none.
    """
    from homefeed.stage import stage

    with stage("fetch_profile"):
        import msgspec

        from homefeed.release import previous

        found = previous.fetch_profile(store, channel)
        return "" if found is None else msgspec.json.encode(found).decode()
