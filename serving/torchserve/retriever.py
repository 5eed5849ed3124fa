"""From raw request bodies to recommendations, a batch at a time; knows nothing of TorchServe."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from homefeed.index.protocol import Hits, Query, SearchRequest, SearchResponse
from homefeed.release.bundle import Release, read_release_manifest
from homefeed.release.user_tower import UserTower
from serving.torchserve.hydrate import Hydrator
from serving.torchserve.metrics import Metrics
from serving.torchserve.popular import best_popular
from serving.torchserve.protocol import Pin, Recommendations, Request, UserFeatures
from serving.torchserve.request import InvalidRequest
from serving.torchserve.settings import HandlerSettings
from serving.torchserve.sidecar_client import Reason, SidecarClient, SidecarError
from serving.torchserve.user import User, embed, encode

Answer = Recommendations | InvalidRequest

DEFAULT_SETTINGS = HandlerSettings()
WARM_UP_ROUNDS = 5
"""TorchScript profiles and optimises a graph in its first few runs."""

logger = logging.getLogger(__name__)


class Retriever:
    """Answers requests from one release; for one thread.

    The release's files are not hashed again here: whoever fetched it did, and the sidecar does;
    each new worker would read the whole index for it.
    """

    def __init__(
        self,
        folder: Path,
        sidecar: SidecarClient,
        metrics: Metrics,
        settings: HandlerSettings = DEFAULT_SETTINGS,
    ) -> None:
        release = Release(folder, read_release_manifest(folder))
        self._version = release.version
        self._embedding_space = release.embedding_space
        self._popular = release.popular()
        self._tower = UserTower(release)
        self._hydrator = Hydrator(release, self._tower, metrics, settings)
        self._sidecar = sidecar
        self._metrics = metrics
        self._failure: Reason | None = None
        self._has_refused = False

    def warm_up(self, batch_size: int) -> None:
        """Runs the tower for every size of batch, so that no early request pays for it.

        With conditions there are many more; of these the largest is run, for its memory.
        """
        nobody = User(Request(user_id="nobody"), {}, (), frozenset(), UserFeatures.MISSING)
        batches = [[nobody] * size for size in range(1, batch_size + 1)]
        if conditions := self._hydrator.usual_conditions:
            batches.append([nobody._replace(conditions=conditions)] * batch_size)
        for _ in range(WARM_UP_ROUNDS):
            for batch in batches:
                self._tower.embed(encode(self._tower, batch))

    def retrieve(self, bodies: Sequence[bytes | bytearray | None]) -> list[Answer]:
        """Answers a batch: one pass of the tower and one request to the sidecar for all of it.

        Args:
            bodies: JSON of one request each; None where the caller sent something else.

        Returns:
            For each body, in order, its recommendations or why there are none.
        """
        self._metrics.batch_size.observe(len(bodies))
        with self._metrics.timed("total"):
            with self._metrics.timed("hydrate"):
                asked = self._hydrator.hydrate(bodies)
            users = [each for each in asked if isinstance(each, User)]
            recommended = iter(self._recommend(users) if users else ())
            answers = [next(recommended) if isinstance(each, User) else each for each in asked]
        for answer in answers:
            self._count(answer)
        return answers

    def close(self) -> None:
        """Closes the release's files and the connection to the sidecar."""
        self._hydrator.close()
        self._sidecar.close()

    def _recommend(self, users: Sequence[User]) -> list[Recommendations]:
        with self._metrics.timed("encode"):
            tensors = encode(self._tower, users)
        with self._metrics.timed("tower"):
            vectors = embed(self._tower, tensors, users)
        with self._metrics.timed("search"):
            queries = {
                place: user.query(rows)
                for place, (user, rows) in enumerate(zip(users, vectors, strict=True))
                # A feature of 1e300 has no vector; it must not cost its neighbours theirs.
                if np.isfinite(rows).all()
            }
            response = self._search(tuple(queries.values()))
        with self._metrics.timed("merge"):
            if response is None:
                return [self._stand_in(user) for user in users]
            found = dict(zip(queries, response.answers, strict=True))
            return [
                self._recommendations(user, rows, found.get(place), response.index_version)
                for place, (user, rows) in enumerate(zip(users, vectors, strict=True))
            ]

    def _search(self, queries: tuple[Query, ...]) -> SearchResponse | None:
        """The sidecar's answer, or None where there is none."""
        try:
            response = self._sidecar.search(SearchRequest(self._embedding_space, queries))
        except SidecarError as error:
            self._metrics.count_failure(error.reason)
            if error.reason not in (self._failure, Reason.PAUSED):  # once for an outage
                logger.warning("no search, popular pins stand in: %s: %s", error.reason, error)
                self._failure = error.reason
            return None
        if self._failure is not None:
            logger.warning("the sidecar answers again")
        self._failure = None
        return response

    def _recommendations(
        self, user: User, vectors: np.ndarray, found: Hits | str | None, index_version: str
    ) -> Recommendations:
        """What was found by a user's vectors; popular pins where the sidecar refused the query."""
        if isinstance(found, str):
            self._metrics.refused_queries.inc()
            # A handler and a sidecar of one release agree; others may differ in every request.
            logger.log(
                logging.DEBUG if self._has_refused else logging.WARNING,
                "the sidecar refuses a query, popular pins stand in: %s",
                found,
            )
            self._has_refused = True
        if not isinstance(found, Hits):
            return self._stand_in(user)
        sources = user.sources(vectors)
        pins = zip(found.pin_ids, found.scores, found.sources, strict=True)
        return Recommendations(
            pins=tuple(Pin(pin_id, score, sources[row]) for pin_id, score, row in pins),
            model_version=self._version,
            index_version=index_version,
            degraded=False,
            cold_start=user.cold_start,
            user_features=user.source,
        )

    def _stand_in(self, user: User) -> Recommendations:
        request = user.request
        pin_ids = best_popular(self._popular, request.k, request.interests, user.exclude)
        return Recommendations(
            pins=tuple(Pin(pin_id, None, "popular") for pin_id in pin_ids),
            model_version=self._version,
            index_version=None,
            degraded=True,
            cold_start=user.cold_start,
            user_features=user.source,
        )

    def _count(self, answer: Answer) -> None:
        if isinstance(answer, InvalidRequest):
            self._metrics.count_request("invalid")
            return
        self._metrics.count_request("degraded" if answer.degraded else "ok")
        if answer.cold_start:
            self._metrics.cold_starts.inc()
        self._metrics.count_user(answer.user_features)
