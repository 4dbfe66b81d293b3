"""Who has no token isn't let into a Ray that raybead started."""

import os
import subprocess
import sys

import pytest

JOIN = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, configure_logging=False)
print("let in:", ray.cluster_resources()["CPU"])
"""


@pytest.mark.parametrize("has", [True, False])
def test_a_token_is_asked_for(cluster, tmp_path, has):
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    if not has:  # neither in its environment nor in its home
        environment = {k: v for k, v in environment.items() if not k.startswith("RAY_AUTH")}
        environment |= {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"}
    joins = subprocess.run(
        [sys.executable, "-c", JOIN, cluster.address],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ("let in: 4.0" in joins.stdout) is has, joins.stderr
    assert (joins.returncode == 0) is has
