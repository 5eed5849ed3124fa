"""What the handler asks of the index sidecar, as MessagePack: one request a TorchServe batch."""

import msgspec


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The search of one user: all of their vectors together.

    `vectors` is float32 little-endian [num_vectors, dimension], row-major. Empty `interests` is
    no filter; several are a union. `exclude` are pin ids that must not come back, `exclude_rows`
    the same by rows of the index, int32 little-endian. `row_interests` is empty, or has a name for
    each row of `vectors`: the row finds pins of that interest alone, whatever `interests` says; a
    row with "", which no interest is called, keeps to `interests`.
    """

    vectors: bytes
    k: int
    interests: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    row_interests: tuple[str, ...] = ()
    exclude_rows: bytes = b""


class SearchRequest(msgspec.Struct, frozen=True):
    """A batch of queries for one embedding space.

    `index_version` is the release that must answer, "" the one that is current: users, pins and
    what they have seen are of one release, so another's index would not do. Queries that exclude
    rows must name it.
    """

    embedding_space: str
    queries: tuple[Query, ...]
    index_version: str = ""


class Hits(msgspec.Struct, frozen=True):
    """One query's pins, best first after the round-robin; three lists of equal length.

    `sources[i]` is the row of `vectors` that found `pin_ids[i]`.
    """

    pin_ids: tuple[str, ...]
    scores: tuple[float, ...]
    sources: tuple[int, ...]


class SearchResponse(msgspec.Struct, frozen=True):
    """The batch's answers in order, and the version of the index that gave them.

    A query that does not fit the index has, in the place of hits, a text that says why.
    `current_version` is the one to ask for from now on.
    """

    index_version: str
    answers: tuple[Hits | str, ...]
    current_version: str
