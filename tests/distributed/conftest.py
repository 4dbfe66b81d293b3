"""One Ray, one S3, and one finished run, for all tests of this folder."""

import logging
import shutil

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from raybead.config import parse_job
from raybead.console import Console
from raybead.distributed.session import session
from raybead.pipeline import execute
from raybead.storage import Folder

BUCKET = "raybead-tests"
JOB = """
name = "small"
output = "{output}"
[data.background]
source = "lhco"
path = "{background}"
generator = "made"
[data.search]
source = "lhco"
path = "{search}"
[prepare]
rows_per_task = 200
[graph]
nodes = 10
[model]
encoder = [[8, 8]]
head = [8]
decoder = [16, 16]
decode = 10
[train]
epochs = 3
batch_items = 128
workers = 2
keep_every = 2
deterministic = true
[score]
store = ["latent", "reconstruction"]
[hunt]
cuts = [0.9, 0.999]
toys = 3000
precision = 0.0
mass_window = [2132.0, 5253.0]
"""


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


@pytest.fixture(scope="session")
def job_text(lhco_files, tmp_path_factory):
    """The job of ``finished``; tests that change the run say another output, and copy it."""
    return JOB.format(output=tmp_path_factory.mktemp("runs"), **lhco_files)


@pytest.fixture(scope="session")
def finished(cluster, job_text):  # noqa: ARG001  Ray has to run
    """The whole chain, once. Nothing changes it."""
    return execute(parse_job(job_text), "run", Console(quiet=True))


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished run, which a test may change; its output is ``tmp_path / "runs"``."""
    return copy_of(finished, tmp_path / "runs" / "small")


@pytest.fixture
def there(tmp_path):
    """What a job says to be that of ``copied``."""
    return f"output={tmp_path}/runs"


def copy_of(run, path):
    return Folder.at(str(shutil.copytree(str(run), path)))
