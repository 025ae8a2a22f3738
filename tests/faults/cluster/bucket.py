"""A store that speaks S3, for stacks whose store is not a folder."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from unittest import mock

import boto3
from moto.server import ThreadedMotoServer


@dataclass(frozen=True)
class Bucket:
    """A new bucket: its URL, and the loopback port on which its server listens."""

    url: str
    port: int


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket of a server of its own; the environment says where it is."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        access = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }
        with mock.patch.dict(os.environ, access):
            name = f"faults-{uuid.uuid4().hex}"
            boto3.client("s3").create_bucket(Bucket=name)
            yield Bucket(f"s3://{name}/store", int(port))
    finally:
        server.stop()
