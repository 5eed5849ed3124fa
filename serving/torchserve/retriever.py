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
from serving.torchserve.served_release import ReleaseExchange, ServedRelease
from serving.torchserve.settings import HandlerSettings
from serving.torchserve.sidecar_client import Reason, SidecarClient, SidecarError
from serving.torchserve.user import User, embed, encode

Answer = Recommendations | InvalidRequest

DEFAULT_SETTINGS = HandlerSettings()
WARM_UP_ROUNDS = 5
"""TorchScript profiles and optimises a graph in its first few runs."""
MAX_SWITCHES = 2
"""Of a batch, to the release that the sidecar holds; it would have to lose one right after another
for a single batch to need more."""

logger = logging.getLogger(__name__)


class Retriever:
    """Answers requests, each batch from one release; for one thread.

    The sidecar says which release is current. A refresh is opened beside the requests and taken
    between two batches; a batch whose release the sidecar no longer holds is answered anew.
    """

    def __init__(
        self,
        folder: Path,
        sidecar: SidecarClient,
        metrics: Metrics,
        settings: HandlerSettings = DEFAULT_SETTINGS,
    ) -> None:
        """Opens a release.

        Args:
            folder: of the release, or a link to it.
            sidecar: searches it.
            metrics: of all workers.
            settings: of this one.

        Raises:
            ValueError: the folder is no release.
        """
        # Resolved once: a link may lead elsewhere by the next look.
        opened = folder.resolve()
        release = Release(opened, read_release_manifest(opened))
        self._tower = tower = UserTower(release.folder)
        self._releases = ReleaseExchange(
            folder, release, lambda each: Hydrator(each, tower, metrics, settings)
        )
        self._sidecar = sidecar
        self._metrics = metrics
        self._failure: Reason | None = None
        self._has_refused = False

    def warm_up(self, batch_size: int) -> None:
        """Runs the tower for every size of batch, so that no early request pays for it.

        With conditions there are many more; of these the largest is run, for its memory.
        """
        nobody = User(Request(user_id="nobody"), {}, (), (), UserFeatures.MISSING)
        batches = [[nobody] * size for size in range(1, batch_size + 1)]
        if conditions := self._releases.current.hydrator.usual_conditions:
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
            self._releases.take_prepared()
            answers = self._answer(bodies, MAX_SWITCHES)
        self._count(answers)
        return answers

    def close(self) -> None:
        """Closes the release's files and the connection to the sidecar."""
        self._releases.close()
        self._sidecar.close()

    def _answer(
        self, bodies: Sequence[bytes | bytearray | None], switches_left: int
    ) -> list[Answer]:
        """Answers all of a batch from the release that is current when it begins."""
        served = self._releases.current
        with self._metrics.timed("hydrate"):
            asked = served.hydrator.hydrate(bodies)
        users = [each for each in asked if isinstance(each, User)]
        try:
            recommended = iter(self._recommend(served, users) if users else ())
        except SidecarError as error:
            if error.reason == Reason.OTHER_VERSION and switches_left and self._switch():
                return self._answer(bodies, switches_left - 1)
            self._note_failure(error)
            recommended = iter([_stand_in(served, user) for user in users])
        return [next(recommended) if isinstance(each, User) else each for each in asked]

    def _recommend(self, served: ServedRelease, users: Sequence[User]) -> list[Recommendations]:
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
            response = self._search(served, tuple(queries.values()))
        with self._metrics.timed("merge"):
            found = dict(zip(queries, response.answers, strict=True))
            return [
                self._recommendations(served, user, rows, found.get(place))
                for place, (user, rows) in enumerate(zip(users, vectors, strict=True))
            ]

    def _search(self, served: ServedRelease, queries: tuple[Query, ...]) -> SearchResponse:
        """What the sidecar finds in the release's own index; raises SidecarError where nothing."""
        space = served.manifest.embedding_space
        response = self._sidecar.search(SearchRequest(space, queries, served.version))
        assert response.index_version == served.version
        if self._failure is not None:
            logger.warning("the sidecar answers again")
        self._failure = None
        self._releases.prepare(response.current_version)
        return response

    def _switch(self) -> bool:
        """Goes over to the release that the sidecar answers from now; says whether it could."""
        space = self._releases.current.manifest.embedding_space
        try:
            current = self._sidecar.search(SearchRequest(space, ())).current_version
        except SidecarError:
            return False
        return self._releases.switch(current)

    def _note_failure(self, error: SidecarError) -> None:
        self._metrics.count_failure(error.reason)
        if error.reason not in (self._failure, Reason.PAUSED):  # once for an outage
            logger.warning("no search, popular pins stand in: %s: %s", error.reason, error)
            self._failure = error.reason

    def _recommendations(
        self, served: ServedRelease, user: User, vectors: np.ndarray, found: Hits | str | None
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
            return _stand_in(served, user)
        sources = user.sources(vectors)
        pins = zip(found.pin_ids, found.scores, found.sources, strict=True)
        return Recommendations(
            pins=tuple(Pin(pin_id, score, sources[row]) for pin_id, score, row in pins),
            model_version=served.version,
            index_version=served.version,
            degraded=False,
            cold_start=user.cold_start,
            user_features=user.source,
        )

    def _count(self, answers: Sequence[Answer]) -> None:
        self._metrics.count_requests(map(_outcome, answers))
        valid = [answer for answer in answers if isinstance(answer, Recommendations)]
        if num_cold := sum(answer.cold_start for answer in valid):
            self._metrics.cold_starts.inc(num_cold)
        self._metrics.count_users(answer.user_features for answer in valid)


def _outcome(answer: Answer) -> str:
    if isinstance(answer, InvalidRequest):
        return "invalid"
    return "degraded" if answer.degraded else "ok"


def _stand_in(served: ServedRelease, user: User) -> Recommendations:
    request = user.request
    rows = np.frombuffer(user.exclude_rows, "<i4").tolist()
    exclude = frozenset(user.exclude).union(served.pin_ids[row] for row in rows)
    pin_ids = best_popular(served.popular, request.k, request.interests, exclude)
    return Recommendations(
        pins=tuple(Pin(pin_id, None, "popular") for pin_id in pin_ids),
        model_version=served.version,
        index_version=None,
        degraded=True,
        cold_start=user.cold_start,
        user_features=user.source,
    )
