"""A real S3 API server as a process of this machine: moto, with packages of its own lock file."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import botocore.session
import httpx
import pytest
from s3fs import S3FileSystem

from serving.local import free_ports
from serving.processes import Child
from tests.tools import locked_packages

START_SECONDS = 60


class Keys(NamedTuple):
    """What AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY hold."""

    access_key: str
    secret_key: str


ANY_KEYS = Keys("any", "any")


class S3Server:
    """A server that takes any keys until it is told to be strict."""

    def __init__(self, url: str, log: Path) -> None:
        self.url = url
        self._log = log
        self._session = botocore.session.get_session()
        self._session.set_credentials(*ANY_KEYS)

    def environment(self, keys: Keys = ANY_KEYS) -> dict[str, str]:
        """By which clients of S3 find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
        }

    def begin(self, bucket: str, variables: pytest.MonkeyPatch) -> None:
        """Begins anew with one empty bucket, for this process and its children."""
        self._set_strict_after("inf")
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()
        self._client("s3").create_bucket(Bucket=bucket)
        for name, value in self.environment().items():
            variables.setenv(name, value)
        S3FileSystem.clear_instance_cache()  # they would go on asking an earlier server

    def buckets(self) -> list[str]:
        return [each["Name"] for each in self._client("s3").list_buckets()["Buckets"]]

    def flip_a_bit(self, bucket: str, key: str) -> None:
        """Damages the first byte of an object."""
        client = self._client("s3")
        contents = bytearray(client.get_object(Bucket=bucket, Key=key)["Body"].read())
        contents[0] ^= 1
        client.put_object(Bucket=bucket, Key=key, Body=bytes(contents))

    def delete(self, bucket: str, key: str) -> None:
        self._client("s3").delete_object(Bucket=bucket, Key=key)

    def demand_keys(self) -> Keys:
        """From now on it takes these keys and no others."""
        iam = self._client("iam")
        iam.create_user(UserName="reader")
        allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        iam.put_user_policy(
            UserName="reader",
            PolicyName="s3",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow]}),
        )
        made = iam.create_access_key(UserName="reader")["AccessKey"]
        self._set_strict_after("0")
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def written(self) -> list[str]:
        """Paths of the objects that it was sent, in order."""
        words = [line.split() for line in self._log.read_text().splitlines()]
        return [line[line.index('"PUT') + 1] for line in words if '"PUT' in line]

    def _client(self, service: str) -> Any:  # botocore makes its methods at run time
        return self._session.create_client(service, region_name="us-east-1", endpoint_url=self.url)

    def _set_strict_after(self, requests: str) -> None:
        httpx.post(f"{self.url}/moto-api/reset-auth", content=requests).raise_for_status()


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Starts a server, whose log goes to a folder, and ends it."""
    (port,) = free_ports(1)
    environment = {**os.environ, "PYTHONPATH": str(locked_packages("s3_server"))}
    command = [sys.executable, "-S", "-m", "moto.server", "--port", str(port)]
    log = folder / "s3.log"
    child = Child("s3", command, environment, log)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            child.check()
            assert time.monotonic() < deadline, child.tail()
            time.sleep(0.1)
        yield S3Server(url, log)
    finally:
        child.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
