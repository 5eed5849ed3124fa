"""One deployment at a time: a Lease of the namespace, renewed for as long as one lasts.

A holder that dies renews no more, and after the Lease's duration another takes over. Whether that
is over is seen by this machine's clock and the holder's time, so clocks must agree to within it.
"""

import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from kubernetes import client
from kubernetes.client import ApiException
from urllib3.exceptions import HTTPError

from homefeed.training_job.status import reason

NAME = "homefeed-deploy"
"""One for all that is deployed in a namespace, so that rights can name it."""
PATIENCE_SECONDS = 10.0
RENEWALS = 3
"""Within the duration: two may fail."""


def new_holder() -> str:
    """A name that tells people who holds the lock, and no other process has."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


class Lease:
    """The lock of a namespace."""

    def __init__(
        self, api: client.ApiClient, namespace: str, holder: str, duration_seconds: int
    ) -> None:
        """Takes who locks, and for how long after its last word."""
        self._leases = client.CoordinationV1Api(api)
        self._namespace, self._holder = namespace, holder
        self._seconds = duration_seconds
        self._version = ""
        """Of the object as we wrote it last: nobody else's word is overwritten."""
        self._lost = ""
        self._said_at = time.monotonic()
        """When our last word was sent."""

    @contextmanager
    def held(self) -> Iterator[None]:
        """Holds the lock while the context is open.

        Raises:
            ValueError: another holds it, or the rights lack; says which.
        """
        self._take()
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(ended,), name="renew the lock")
        renewing.start()
        try:
            yield
        finally:
            ended.set()
            renewing.join()
            self._release()

    def check(self) -> None:
        """Sees that it is still held.

        Raises:
            RuntimeError: it was lost; nothing may be changed any more.
        """
        silent = time.monotonic() - self._said_at
        if self._lost or silent > self._seconds:
            why = self._lost or f"it was not renewed for {silent:.0f} s"
            raise RuntimeError(f"the lock of the deployment was lost: {why}")

    def _take(self) -> None:
        try:
            found = self._read()
            if found is None:
                body = self._body("")
                made: Any = self._leases.create_namespaced_lease(
                    self._namespace, body, _request_timeout=PATIENCE_SECONDS
                )
                self._version = made.metadata.resource_version
                return
            if (holder := found.spec.holder_identity) and not _is_over(found.spec):
                raise ValueError(self._busy(holder, found.spec.renew_time))
            self._write(found.metadata.resource_version)
        except ApiException as error:
            if error.status == 409:  # somebody was faster
                raise ValueError(self._busy("one that came just now", None)) from error
            raise ValueError(
                f"the deployment cannot lock namespace {self._namespace}: {reason(error)}. Its "
                "rights come with `kubectl apply -k manifests/overlays/deploying`, or "
                "deploying-single-user"
            ) from error

    def _busy(self, holder: str, renewed: datetime | None) -> str:
        when = f", which said so at {renewed:%H:%M:%S} UTC" if renewed else ""
        return (
            f"another deployment is at work in namespace {self._namespace}, by {holder}{when}: "
            f"wait for its end. If it died, its lock (Lease {NAME}) is free after "
            f"{self._seconds} s"
        )

    def _renew(self, ended: threading.Event) -> None:
        while not ended.wait(self._seconds / RENEWALS):
            try:
                self._write(self._version)
            except (ApiException, HTTPError) as error:
                is_taken = isinstance(error, ApiException) and error.status in (404, 409)
                if is_taken or time.monotonic() - self._said_at > self._seconds:
                    said = reason(error) if isinstance(error, ApiException) else str(error)
                    self._lost = f"Lease {NAME} of namespace {self._namespace}: {said}"
                    return

    def _release(self) -> None:
        """Leaves the object without a holder; what was lost is another's."""
        if self._lost:
            return
        try:
            self._write(self._version, holder="")
        except (ApiException, HTTPError) as error:
            print(f"Lease {NAME} is not given back, and is free after {self._seconds} s: {error}")

    def _read(self) -> Any:
        try:
            return self._leases.read_namespaced_lease(
                NAME, self._namespace, _request_timeout=PATIENCE_SECONDS
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise

    def _write(self, version: str, holder: str | None = None) -> None:
        said_at = time.monotonic()
        written: Any = self._leases.replace_namespaced_lease(
            NAME,
            self._namespace,
            self._body(version, holder),
            _request_timeout=PATIENCE_SECONDS,
        )
        self._version, self._said_at = written.metadata.resource_version, said_at

    def _body(self, version: str, holder: str | None = None) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        metadata = {"name": NAME, "namespace": self._namespace}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata | ({"resourceVersion": version} if version else {}),
            "spec": {
                "holderIdentity": self._holder if holder is None else holder,
                "leaseDurationSeconds": self._seconds,
                "renewTime": now,
            },
        }


def _is_over(spec: Any) -> bool:
    if spec.renew_time is None or spec.lease_duration_seconds is None:
        return True
    return datetime.now(UTC) > spec.renew_time + timedelta(seconds=spec.lease_duration_seconds)
