"""Step 3: what is in production, which this run's data and release are compared with."""

from typing import NamedTuple

from components.step import step


@step
def look_at_production(
    store: str,
    channel: str,
    # pyrefly: ignore[invalid-annotation]
) -> NamedTuple("Production", [("version", str), ("store", str), ("profile", str)]):
    """Reads which release is in production, and the profile of the data that it was made of.

    It is a step of its own as what the store holds is no input: who compares with it knows it by
    what is said here, and is not run again for the same.

    Args:
        store: URL of the release store; may be empty.
        channel: what stands for the release; may be empty.

    Returns:
        `version` of the release, the `store` that holds it, and its `profile` as JSON; each empty
        where there is none.
    """
    from homefeed.stage import stage

    with stage("look_at_production"):
        import msgspec

        from homefeed.release import previous

        version = previous.find_version(store, channel)
        profile = previous.fetch_profile(store, version)
        text = "" if profile is None else msgspec.json.encode(profile).decode()
        return version, store if version else "", text
