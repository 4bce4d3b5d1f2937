"""An S3 service on loopback: moto's server, and what a test puts into it."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from elasticsearch_node.node import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY, SECRET = "AKIATESTTESTTESTTEST", "the-secret-key-of-the-tests-bucket"
START_SECONDS = 60


@dataclass
class S3:
    """``source`` is what ``*_settings_source`` takes, ``env`` what the controller's environment needs."""

    endpoint: str
    bucket: str = "settings"

    @property
    def env(self) -> dict[str, str]:
        """Credentials, as boto3 finds them."""
        return {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}

    @property
    def source(self) -> dict[str, str]:
        """Bucket, region and endpoint."""
        return {"bucket": self.bucket, "region": "eu-central-1", "endpoint": self.endpoint}

    def put(self, name: str, text: str) -> None:
        """Make or replace an object."""
        self._client().put_object(Bucket=self.bucket, Key=name, Body=text.encode())

    def make_bucket(self) -> None:
        """The bucket itself."""
        self._client().create_bucket(
            Bucket=self.bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )

    def _client(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of boto3, about itself
            import boto3  # noqa: PLC0415 - only where there is an S3

            return boto3.client(
                "s3",
                endpoint_url=self.endpoint,
                region_name="eu-central-1",
                aws_access_key_id=KEY,
                aws_secret_access_key=SECRET,
            )


@contextmanager
def serve(folder: Path) -> Iterator[S3]:
    """Run the server until the end of the block."""
    port = free_port()
    with (folder / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)], stdout=log, stderr=log
        )
    try:
        s3 = S3(f"http://127.0.0.1:{port}")
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{s3.endpoint}/moto-api/data.json", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "moto.log").read_text()
                assert time.monotonic() < end, "moto's server does not answer"
                time.sleep(0.1)
        s3.make_bucket()
        yield s3
    finally:
        server.terminate()
        server.wait()
