"""Joining or starting a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator

from raybead.distributed.cluster import Cluster, cluster_now, started_here
from raybead.errors import RunError

SETTINGS = {
    # Ray Train otherwise looks for new reports every two seconds: an epoch may take one.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    # raybead shows progress of its own.
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    # How long an autoscaler may take to bring the nodes that training asks for.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "900",
    "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
    # Workers of a node without a CUDA device keep what they see; Ray asks to say so.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Ray Data's actor pools make the driver log an error about themselves at every start.
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    # Usage statistics leave the machine; nobody was asked.
    "RAY_USAGE_STATS_ENABLED": "0",
}
SETTINGS_HERE = {
    # Nobody takes this machine away with notice, and the watcher is a process a training.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Of a cluster that is started here."""


@contextlib.contextmanager
def _unsaid(noise: bytes) -> Iterator[None]:
    """Keep lines that hold ``noise`` off stderr for a block; others come when it is over.

    Ray tells on the file descriptor that it was told to be quiet.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            for line in caught:
                if noise not in line:
                    os.write(2, line)


@contextlib.contextmanager
def session(address: str | None = None, num_cpus: int | None = None) -> Iterator[Cluster]:
    """A connection to a Ray cluster for the length of a block.

    Joins ``address``, else ``RAY_ADDRESS``, else starts Ray on this machine and stops it
    afterwards. A connection that is already there is used and left open.

    Args:
        address: of a cluster, as Ray takes it; "local" starts one whatever the environment says.
        num_cpus: CPUs of a cluster that is started here; the machine's if not given.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import ray
    import ray.data
    from ray.exceptions import AuthenticationError, RayError

    # Of no use to who runs a job: execution plans, tracebacks of errors that are raised anyway,
    # and how to opt out of token authentication, which a local Ray rightly turns on.
    for chatty in ("ray.data", "ray._private.authentication"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield cluster_now()
        return
    if num_cpus is not None and num_cpus < 1:
        raise RunError(f"--cpus {num_cpus}: one at least")
    joins = address or os.environ.get("RAY_ADDRESS", "local")
    here = joins == "local"
    options = {"num_cpus": num_cpus, "include_dashboard": False} if here else {}
    try:
        with _unsaid(b"from environment variable RAY_BACKEND_LOG_LEVEL"):
            ray.init(address=joins, logging_level=logging.WARNING, log_to_driver=False, **options)
    except AuthenticationError:
        raise RunError(
            f"no Ray cluster at {joins!r}: it wants a token, or another; set RAY_AUTH_TOKEN_PATH"
        ) from None
    except (ConnectionError, ValueError, RuntimeError, RayError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise RunError(f"no Ray cluster at {joins!r}: {reason}") from None
    added = [name for name in SETTINGS_HERE if here and name not in os.environ]
    os.environ.update({name: SETTINGS_HERE[name] for name in added})
    started_here(here)
    try:
        yield cluster_now()
    finally:
        started_here(False)
        for name in added:
            os.environ.pop(name, None)
        ray.shutdown()
