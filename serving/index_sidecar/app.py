"""The search as a bare ASGI app: `POST /search`, MessagePack in and out.

Body: `homefeed.index.protocol.SearchRequest`; answer: `SearchResponse`. A query that does not fit
the index is refused in its own place in the answer, as a batch holds queries of many callers. What
concerns the whole request is answered with a JSON body `{"error": {"code", "message"}}`: 400 the
body is none, 409 another embedding space or a version that is not held, 413 too large, 429 and 503
overload, with Retry-After.
"""

import logging
from functools import partial

import msgspec

from homefeed.index.candidates import Strategy
from homefeed.index.protocol import Hits, SearchRequest, SearchResponse
from serving.index_sidecar.asgi import (
    App,
    Receive,
    Refusal,
    Response,
    Scope,
    Send,
    check_route,
    read_body,
)
from serving.index_sidecar.held import ServedIndex
from serving.index_sidecar.loader import Loader
from serving.index_sidecar.metrics import Metrics
from serving.index_sidecar.pool import SearchPool
from serving.index_sidecar.recall import RecallSampler
from serving.index_sidecar.settings import Settings

MESSAGEPACK = b"application/msgpack"

logger = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(SearchRequest)


def create_app(
    loader: Loader,
    pool: SearchPool,
    recall: RecallSampler,
    metrics: Metrics,
    settings: Settings,
) -> App:
    """The search over the indexes that a loader holds."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            check_route(scope, {"/search": "POST"})
            request = _decode(await read_body(receive, settings.max_body_bytes))
            served = _choose(request, loader)
            current = loader.held.current.version
            search = partial(_search, served, current, request, metrics, recall)
            answer = await pool.run(search)
            response = Response(200, answer, MESSAGEPACK)
        except Refusal as refusal:
            response = refusal.response
        except Exception:
            logger.exception("search failed")
            response = Refusal(500, "internal", "the sidecar's log says why").response
        metrics.requests.labels(response.status).inc()
        await response.send(send)

    return app


def _decode(body: bytearray) -> SearchRequest:
    try:
        request = _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise Refusal(400, "malformed", f"the body is no SearchRequest: {error}") from error
    if not request.index_version and any(query.exclude_rows for query in request.queries):
        raise Refusal(
            400, "malformed", "exclude_rows are rows of one index: index_version must name it"
        )
    return request


def _choose(request: SearchRequest, loader: Loader) -> ServedIndex:
    """The index that is asked for; all that are held have one embedding space."""
    current = loader.held.current
    space = current.engine.details.embedding_space
    if request.embedding_space != space:
        raise Refusal(
            409,
            "other_embedding_space",
            f"the request has embedding space {request.embedding_space!r}; index "
            f"{current.version} has {space!r}: both must come from one release",
        )
    if (served := loader.take(request.index_version)) is None:
        raise Refusal(
            409,
            "other_version",
            f"the request wants index {request.index_version!r}, which is not held; "
            f"{current.version} is current: ask with what belongs to that",
        )
    return served


def _search(
    served: ServedIndex,
    current: str,
    request: SearchRequest,
    metrics: Metrics,
    recall: RecallSampler,
) -> bytes:
    approximate: set[int] = set()

    def on_strategy(place: int, strategy: Strategy) -> None:
        metrics.count_strategy(strategy)
        if strategy is Strategy.ANN:
            approximate.add(place)

    answers = served.engine.answer_batch(request.queries, on_strategy)
    found = [
        (request.queries[place], answer)
        for place in sorted(approximate)
        if isinstance(answer := answers[place], Hits)
    ]
    recall.sample(served.engine, found)
    metrics.refused_queries.inc(sum(isinstance(answer, str) for answer in answers))
    return msgspec.msgpack.encode(SearchResponse(served.version, answers, current))
