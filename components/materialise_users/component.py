"""Before the release is published: its users go to Redis, where serving looks them up first."""

from kfp import dsl

from components.step import step


@step
def materialise_users(
    release: dsl.Input[dsl.Model], redis_url: str, redis_prefix: str, redis_ttl_days: int
) -> int:
    """Writes the users of a release to Redis; a later record that is there stays.

    Args:
        release: the release.
        redis_url: of Redis, without the password, which HOMEFEED_REDIS_PASSWORD holds; empty writes
            nothing.
        redis_prefix: what the keys begin with.
        redis_ttl_days: after which a user that nobody writes again is gone.

    Returns:
        How many users were written.
    """
    from homefeed.stage import stage

    with stage("materialise_users"):
        from pathlib import Path

        from homefeed.release.bundle import USERS_FOLDER
        from homefeed.release.materialise import materialise_users

        if not redis_url:
            print("no Redis is given: users are served from the release alone")
            return 0
        users = Path(release.path) / USERS_FOLDER
        written = materialise_users(users, redis_url, redis_prefix, redis_ttl_days)
        print(f"wrote {written.num_written} users; {written.num_newer} had a later record there")
        return written.num_written
