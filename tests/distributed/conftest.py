"""One Ray for all tests of this folder."""

import pytest

from raybead.distributed.session import session


@pytest.fixture(scope="session")
def cluster():
    # More CPUs than there may be: they are only counted, so two workers fit anywhere.
    with session("local", num_cpus=4) as started:
        yield started
