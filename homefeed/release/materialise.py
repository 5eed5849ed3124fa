"""Writes a snapshot's users to Redis, where fresher records take their place one by one."""

from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from homefeed.contracts import read_manifest
from homefeed.release.redis_connection import DEFAULT_PREFIX, connect
from homefeed.release.users import USERS, UserSnapshot

USERS_AT_ONCE = 500
"""Users of one round trip: some megabytes at most, and Redis serves others in between."""
SOCKET_SECONDS = 30.0
SECONDS_A_DAY = 86_400

# Redis runs it at once, so a reader sees the old record or the new one, and a fresher one that is
# written meanwhile is never lost. cmsgpack is part of every Redis' and Valkey's Lua.
SET_UNLESS_NEWER = """
local held = redis.call('GET', KEYS[1])
if held then
  local is_readable, record = pcall(cmsgpack.unpack, held)
  local as_of = is_readable and type(record) == 'table' and tonumber(record['as_of']) or 0
  if as_of > tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return 1
"""


class Materialised(NamedTuple):
    """How many users were written, and of how many Redis held a later record."""

    num_written: int
    num_newer: int


def materialise_users(
    snapshot: Path, url: str, prefix: str = DEFAULT_PREFIX, ttl_days: float = 30.0
) -> Materialised:
    """Writes all users of a snapshot to Redis; doing it again changes nothing but when they expire.

    Args:
        snapshot: the users' snapshot, `users/` of a release.
        url: of Redis, without the password; see `redis_connection`.
        prefix: what the keys begin with.
        ttl_days: after which a record that nobody writes again is gone.

    Raises:
        ValueError: the snapshot is none, the URL is none of Redis, or the time is not positive.
        RuntimeError: Redis cannot be used; says how many users were written by then.
    """
    from redis.exceptions import RedisError

    if (ttl_seconds := round(ttl_days * SECONDS_A_DAY)) < 1:
        raise ValueError(f"ttl_days={ttl_days} must be positive: after which a record is gone")
    details = read_manifest(snapshot, USERS).details
    num_users, as_of = details["num_users"], details["serving_time"]
    num_asked = num_written = 0
    with (
        connect(url, socket_timeout=SOCKET_SECONDS, socket_connect_timeout=SOCKET_SECONDS) as redis,
        UserSnapshot.open(snapshot) as users,
        tqdm(total=num_users, desc="writing users to Redis", unit="user") as progress,
    ):
        set_unless_newer = redis.register_script(SET_UNLESS_NEWER)
        try:
            for batch in users.batches(USERS_AT_ONCE):
                pipeline = redis.pipeline(transaction=False)
                for key, record in batch:
                    arguments = [record, as_of, ttl_seconds]
                    set_unless_newer([prefix.encode() + key], arguments, client=pipeline)
                num_written += sum(pipeline.execute())
                num_asked += len(batch)
                progress.update(len(batch))
        except RedisError as error:
            raise RuntimeError(
                f"Redis at {url}: {type(error).__name__}: {error}; {num_asked} of {num_users} "
                "users are written: run it again, which begins anew and does no harm"
            ) from error
    return Materialised(num_written, num_asked - num_written)
