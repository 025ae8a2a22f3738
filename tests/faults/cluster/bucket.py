"""An S3 server, for stacks whose store is a bucket."""

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
    """A new bucket: its URL and the loopback port of its server."""

    url: str
    port: int


@contextmanager
def bucket() -> Iterator[Bucket]:
    """A bucket on a new server, whose address and credentials are in the environment."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        credentials = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }
        with mock.patch.dict(os.environ, credentials):
            name = f"faults-{uuid.uuid4().hex}"
            boto3.client("s3").create_bucket(Bucket=name)
            yield Bucket(f"s3://{name}/store", int(port))
    finally:
        server.stop()
