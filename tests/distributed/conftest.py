"""One Ray, and one S3, for all tests of this folder."""

import logging

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from raybead.distributed.session import session

BUCKET = "raybead-tests"


@pytest.fixture(scope="session")
def s3():
    """URI of an empty bucket of an S3 on this machine."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "tests")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "tests")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        s3fs.S3FileSystem().mkdir(BUCKET)
        yield f"s3://{BUCKET}"
    server.stop()


@pytest.fixture(scope="session")
def cluster(s3):  # noqa: ARG001  its workers get the address of the S3 with their environment
    # More CPUs than there may be: they are only counted, so two workers fit anywhere.
    with session("local", num_cpus=4) as started:
        yield started
