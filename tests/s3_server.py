"""An S3 server of its own for tests and benchmarks: moto's, in a process on 127.0.0.1."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s3fs import S3FileSystem

BUCKET = "documents"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def s3_server(log: Path, *, strict: bool = False) -> Iterator[str]:
    """Run a server with one bucket; the environment of the block leads all drivers to it.

    Its log has a line a request. A strict one knows nobody once the bucket is made.
    """
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    ours = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "not-a-secret-of-anyone",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    before = {name: os.environ.get(name) for name in ours}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            env=os.environ | ({"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if strict else {}),
        )
    os.environ.update(ours)
    S3FileSystem.clear_instance_cache()  # fsspec keeps stores, with the address of a server before
    try:
        _wait(endpoint)
        client().create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        S3FileSystem.clear_instance_cache()
        process.kill()
        process.wait()


def client() -> Any:
    """Return a client of Amazon's own library, which knows nothing of ours."""
    import boto3

    return boto3.client("s3")


def _wait(endpoint: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"{endpoint}/moto-api/data.json", timeout=5).close()
            return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
